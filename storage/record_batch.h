// RecordBatch: records on their way to the log, to be appended together.
#ifndef SLIPSTREAM_STORAGE_RECORD_BATCH_H_
#define SLIPSTREAM_STORAGE_RECORD_BATCH_H_

#include <cstdint>
#include <list>
#include <string>

#include "absl/container/inlined_vector.h"
#include "absl/strings/string_view.h"
#include "base/key_id.h"
#include "storage/keydir.h"
#include "storage/log.h"
#include "storage/log_segment.h"
#include "storage/options.h"

namespace slipstream::storage {

// Returns a record without version, dot and checksum; it views `key` and `value`.
PendingRecord MakePending(bool deletes, absl::string_view key, absl::string_view value);

// Completes a record whose other fields are all set.
void SetCrc(PendingRecord& record);

// The records and whose they are. A Commit has no key_id. Not thread-safe.
struct RecordBatch {
  absl::InlinedVector<PendingRecord, 2> records;
  absl::InlinedVector<base::KeyId, 2> key_ids;
  StripeMask stripes = 0;
  uint64_t payload_bytes = 0;
  bool spans_frames = false;  // One may be too small for it.
  // What the values of `records` point into where compressed; a list, as its elements stay put.
  std::list<std::string> compressed;

  // Replaces the value of `record` by its compressed form if the policy has one for it.
  void Compress(PendingRecord& record, Compression policy);
  void Add(const PendingRecord& record, const base::KeyId& key_id);
  // Makes the records one transaction.
  void AddCommit(uint64_t tx_id);
  // Deletes may use what is kept for a full disk.
  AppendPurpose purpose() const;
};

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_RECORD_BATCH_H_
