// RecoveryReport: what Open found in the log and what it did about it.
#ifndef SLIPSTREAM_STORAGE_RECOVERY_REPORT_H_
#define SLIPSTREAM_STORAGE_RECOVERY_REPORT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "storage/entry.h"

namespace slipstream::storage {

// A stretch of the log that cannot be read although it was durable once.
struct DamagedRange {
  uint64_t segment_number = 0;
  uint64_t first_offset = 0;
  uint64_t end_offset = 0;  // Exclusive.
  // First and last record that stood there; last_lsn = first_lsn - 1 if none did (the header page
  // of a segment, a frame without records).
  Lsn first_lsn = 0;
  Lsn last_lsn = 0;
  uint64_t salvaged_count = 0;  // Of those, the ones that could be saved.
  std::string cause;            // "segment 7 offset 4096: frame crc 0x.. != 0x..".

  uint64_t lost_count() const { return last_lsn + 1 - first_lsn - salvaged_count; }
};

struct RecoveryReport {
  bool created = false;    // The directory was empty.
  bool clean = false;      // The last life ended in Close.
  bool new_actor = false;  // A new life: created, damaged, or unclean under a weak SyncPolicy.
  bool manifest_damaged = false;  // Of what compaction dropped before, nothing is known.
  uint64_t segment_count = 0;
  uint64_t frame_count = 0;
  uint64_t record_count = 0;
  bool tail_cut = false;  // A torn tail was cut at:
  uint64_t tail_segment_number = 0;
  uint64_t tail_offset = 0;
  std::string tail_cause;
  // With OnDamage::kRefuse only what cost no record, or was accepted by an earlier Open.
  std::vector<DamagedRange> damaged;
};

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_RECOVERY_REPORT_H_
