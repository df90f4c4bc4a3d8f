// RecoverLog: reads all segments of a directory and says where the log goes on.
//
// Changes nothing on disk except that segments which no record ever reached, and those that
// compaction dropped, are removed, so that a crash within it makes no difference to the next run.
// A transaction that the log ends within is cut off.
// The rules: docs/storage_format.md.
#ifndef SLIPSTREAM_STORAGE_LOG_RECOVERY_H_
#define SLIPSTREAM_STORAGE_LOG_RECOVERY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "storage/entry.h"
#include "storage/file_system.h"
#include "storage/keydir_shard.h"
#include "storage/log_segment.h"
#include "storage/manifest.h"
#include "storage/record.h"
#include "storage/recovery_report.h"

namespace slipstream::storage {

// What a checkpoint says of a segment that took no more frames then.
struct KnownSegment {
  uint64_t number = 0;
  uint64_t record_bytes = 0;  // As Segment::record_bytes; so are the others.
  bool holds_writes = false;
  bool holds_commits = false;
  bool damaged = false;
};

struct LogRecoveryOptions {
  // Segments of another node make the directory foreign; nullopt: the identity is damaged, take the
  // node_id from the segments.
  absl::optional<uint64_t> node_id;
  // Segments of which all is known from a checkpoint: not read where the headers around them prove
  // that nothing is missing.
  absl::Span<const KnownSegment> known_segments;
  Lsn durable_lsn = 0;         // The identity says that records up to here were durable.
  uint64_t segment_bytes = 0;  // Prepared segments of another length are removed.
  // Streamed transactions that take effect before this are known from the checkpoint: not applied.
  Location known_before;
  // Segments that the manifest says are dropped: ascending, apart.
  absl::Span<const SegmentGap> gaps;
};

// What is to become of a record.
enum class RecordFate : uint8_t {
  kApplies,
  kStreamed,   // Nothing, and its bytes are dead, unless it comes again as:
  kCommitted,  // It applies, as its Commit was read; it has the version and the dot that this
               // gives.
};

struct RecoveredRecord {
  RecordView record;
  Location location;
  Location effect;  // Where the log says that it applies: at its Commit if it was streamed.
  RecordFate fate = RecordFate::kApplies;
};
using OnRecovered = absl::FunctionRef<absl::Status(const RecoveredRecord& recovered)>;

struct LogRecovery {
  LogTail tail;
  uint64_t node_id = 0;   // As given, or as found.
  RecoveryReport report;  // What concerns the log: counts, damage, tail.
  // Segments behind the tail, all of a transaction that was cut off: to be removed, each durably
  // before the next, once the identity says how far the log was durable, and before it goes on.
  std::vector<uint64_t> abandoned_numbers;  // Descending.
};

// Reads the segments `numbers` (ascending) of `directory`; calls `on_record` for each change, in
// the order in which they apply; an error that it returns ends the recovery. When this returns, all
// that was read is durable. FAILED_PRECONDITION (DIRECTORY_FOREIGN), DATA_LOSS for a Commit that no
// writer writes, or what the file system returns.
absl::StatusOr<LogRecovery> RecoverLog(FileSystem* fs, absl::string_view directory,
                                       absl::Span<const uint64_t> numbers,
                                       const LogRecoveryOptions& options, OnRecovered on_record);

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_LOG_RECOVERY_H_
