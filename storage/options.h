// Options of the storage engine: every limit and choice, its default, and what it trades.
#ifndef SLIPSTREAM_STORAGE_OPTIONS_H_
#define SLIPSTREAM_STORAGE_OPTIONS_H_

#include <cstdint>

#include "absl/status/status.h"
#include "storage/ceilings.h"

namespace slipstream::storage {

// What a client may hand in. Beyond: INVALID_ARGUMENT naming the limit and the size.
struct Limits {
  uint32_t key_bytes_max = 4096;         // A key has 1 to key_bytes_max bytes.
  uint32_t value_bytes_max = 1 << 20;    // Up to kValueBytesCeiling.
  uint32_t batch_operations_max = 1000;  // Mutations in one Write, preconditions in one Transact.
  uint32_t batch_bytes_max = 4 << 20;    // Key and value bytes in one Write, of preconditions too.
  // Mutations in one Transact, and writes in one Transaction; not less than in a batch.
  uint32_t transaction_operations_max = 100'000;
  // Key and value bytes in one Transact, and what a Transaction has of them in memory before it
  // streams them to the log; not less than of a batch. What it commits without that is in memory
  // twice until it is written, and readers wait while it is copied.
  uint32_t transaction_buffer_bytes = 16 << 20;
  uint32_t transaction_bytes_max = 1 << 30;  // Key and value bytes in one Transaction.
};

// When an acknowledged write is on disk.
enum class SyncPolicy : uint8_t {
  kAlways = 1,    // Before it is acknowledged: fdatasync, shared by all writes that wait.
  kInterval = 2,  // Within the interval after: a crash of the process or the machine loses it.
  kNone = 3,      // When the operating system sees fit, after a frame fills.
};

// How values are stored, where that gains enough: compression.h has the rules.
enum class Compression : uint8_t {
  kAuto,  // LZ4 or zstd, for each value by what it gains.
  kNone,  // As they are.
  kLz4,
  kZstd,
};

// What Open does when it finds damage before the log's tail.
enum class OnDamage {
  kRefuse,     // DATA_LOSS (reason LOG_DAMAGED) that says what would be lost.
  kServeRest,  // Quarantine the range, report it, serve what is left: replicas heal it.
};

struct Options {
  // Affects behaviour.
  bool create_if_missing = true;
  SyncPolicy sync = SyncPolicy::kAlways;
  OnDamage on_damage = OnDamage::kRefuse;
  Limits limits;

  // Affects performance and space.
  // Of values written from now on; all that is stored can be read under every policy.
  Compression compression = Compression::kAuto;
  // One segment's length, a multiple of 4096. At least the largest frame: ValidateOptions checks.
  uint64_t segment_bytes = 64 << 20;
  // A frame is sealed when its payload reaches this; one larger Write gets a frame of its own size.
  uint32_t frame_bytes_target = 1 << 20;
  // Bytes appended and not yet written to disk before Write flushes on its caller's thread.
  uint64_t unflushed_bytes_max = 8 << 20;
  // Frames that are written at the same time, at most, if as many threads flush: a device that
  // takes several synced writes at once makes more of them. Without direct I/O it is one.
  uint32_t frames_in_flight_max = 2;
  // Memory for all that the engine and its observer keep: KeyDir, filters, derived state, value
  // cache, buffers. Beyond it, entries that were not used lately leave memory for the Sorted Log.
  // 0: no limit.
  uint64_t memory_limit_bytes = 0;
  // A checkpoint follows as many bytes appended to the log since the last one: what a start reads
  // again at most, about.
  uint64_t checkpoint_bytes = 256 << 20;
  // Prepared segments that only compaction and deletes may use, so that a full disk can free
  // itself.
  uint32_t reserve_segments = 1;
  // Compaction goes on while more than this share of the full segments' bytes is dead: replaced
  // records, and what is no record (headers, padding, unused ends). They settle at 1 / (1 - share)
  // times the live bytes, 1.25 here; less space costs more copying. Where nobody writes it goes on
  // to half of the share.
  double compaction_dead_share = 0.2;
  // What one Maintain copies at most, but for a larger record: bounds how long it keeps others off.
  uint32_t compaction_step_bytes = 256 << 10;
  // What one Scrub reads at most, about, but for a longer frame.
  uint32_t scrub_step_bytes = 256 << 10;
  // Memory for values that were read; 0: none are kept. Values beyond a 512th of it never are.
  uint64_t value_cache_bytes = 64 << 20;
};

// Returns the largest payload of a batch, a record for each mutation and the Commit: what one frame
// always holds. A larger transaction takes several.
uint64_t OneFrameBytesMax(const Limits& limits);

// INVALID_ARGUMENT naming the first option that is out of range, its value and its bounds.
absl::Status ValidateOptions(const Options& options);

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_OPTIONS_H_
