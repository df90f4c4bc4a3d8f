// What the parts of Engine::Impl tell each other. Nothing but engine*.cc includes this.
#ifndef SLIPSTREAM_STORAGE_ENGINE_PARTS_H_
#define SLIPSTREAM_STORAGE_ENGINE_PARTS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "base/digest.h"
#include "base/key_id.h"
#include "base/version.h"
#include "storage/entry.h"
#include "storage/keydir.h"
#include "storage/keydir_shard.h"
#include "storage/log_bytes.h"
#include "storage/log_read.h"
#include "storage/options.h"
#include "storage/precondition.h"
#include "storage/record.h"

namespace slipstream::storage {

// The entry of a record that is current.
struct Held {
  absl::optional<LocatedEntry> located;  // nullopt: there is none, the record is not current.
  bool is_hot = false;                   // It is, or would be, in memory.
  uint64_t generation = 0;               // Of the runs in which it was looked for, if not.
};

// Preconditions, with what can be worked out before any lock is taken.
struct Guard {
  absl::Span<const Precondition> preconditions;
  std::vector<base::KeyId> key_ids;              // One each.
  std::vector<base::ValueDigest> value_digests;  // One each; zeros but for kValue.
  StripeMask stripes = 0;
  bool is_transaction = false;  // What it guards may be larger than a batch.
};

// What the entries in memory take, beyond empty tables, and what they may.
struct HotMemory {
  std::atomic<uint64_t> bytes{0};
  std::atomic<uint64_t> bytes_max{std::numeric_limits<uint64_t>::max()};
  std::atomic<uint64_t> evicted_count{0};

  uint64_t now() const { return bytes.load(std::memory_order_relaxed); }
};

// Whether writers must wait until some have left.
bool IsFarBeyondMax(const HotMemory& hot);

// How writers take steps of background work that is late.
struct WritersHelp {
  std::atomic<uint64_t> bytes_per_step{0};  // That they put for each step; 0: none is late.
  std::atomic<uint64_t> unhelped_bytes{0};  // Put since the last such step.
};

// How long nobody has written, in calls of Maintain that found nothing to do.
struct Rest {
  size_t call_count = 0;
  uint64_t appended_bytes = 0;  // By the last call.
};

// Where background work goes on that goes around.
struct Sweeps {
  // No merge is tried before as many checkpoints: the disk was too full for one.
  uint64_t next_merge_checkpoint = 0;
  uint8_t next_evicted_shard = 0;
  uint8_t next_warmed_shard = 0;
};

// Returns whether `record`, of the entry's key, has its version: of a streamed one, which has none
// of its own, whether it has the value.
inline bool HasVersionOf(const Entry& entry, const RecordView& record) {
  if (!IsStreamed(record.header)) return record.version() == entry.version;
  return base::ActorId{record.header.actor} == entry.version.actor &&
         record.header.value_digest == entry.value_digest;
}

// Returns whether `record` is the one that `entry` tells of, going by type, version and key.
inline bool IsRecordOf(const Entry& entry, const RecordView& record) {
  const RecordType type = entry.tombstone ? RecordType::kDelete : RecordType::kPut;
  return record.header.type == type && HasVersionOf(entry, record) &&
         base::KeyIdOf(record.key) == entry.key_id;
}

// Whether a tombstone's record is read.
enum class Tombstones : uint8_t { kRead, kSkip };

// How much of a record is checked: what its checksum vouches for, or its value's digest as well.
enum class Check : uint8_t { kChecksum, kDigest };

// The current record of a key, read and checked.
struct CurrentRecord {
  absl::optional<Entry> entry;  // nullopt: there is none.
  // What `record` points into; nullopt for a tombstone not asked for.
  absl::optional<LogBytes> bytes;
  RecordView record;
  Location location;
  std::string raw;  // The value, if it is stored compressed.
  Lsn lsn = 0;

  absl::string_view value() const {
    return record.header.codec == Codec::kNone ? record.value : absl::string_view(raw);
  }
};

// A record that GetMany reads.
struct WaitingRead {
  size_t index = 0;  // Of its key.
  base::KeyId key_id;
  LocatedEntry located;
  Lsn lsn = 0;  // As ReadResult::lsn.
  StartedLogRead read;
};

// How far a visit came.
struct Visited {
  absl::optional<base::KeyId> next;  // All before it was visited; nullopt: all was.
  bool stopped = false;              // By what it called.
};

// Decodes current.bytes into current.record, compares it with what the KeyDir says, and
// decompresses its value.
absl::Status CheckRecord(const Entry& entry, Check check, CurrentRecord& current);

struct BatchSize {
  uint64_t operations = 0;
  uint64_t bytes = 0;  // Of keys and values.
};

// INVALID_ARGUMENT if one of `mutations`, or all together, are beyond `limits` and `max`.
absl::Status CheckMutations(absl::Span<const Mutation> mutations, Atomicity atomicity,
                            const Limits& limits, const BatchSize& max);

// FAILED_PRECONDITION if `last` leaves too few HLCs to give any.
absl::Status CheckClock(base::Hlc last);

// FAILED_PRECONDITION if `shard` cannot give `count` dots after `last_sequence`.
absl::Status CheckDots(uint8_t shard, uint64_t last_sequence, uint64_t count);

// What MakeKnown learned of some keys.
struct Known {
  uint64_t generation = 0;   // Of the runs, before the look at them.
  std::vector<bool> absent;  // One each: neither in memory nor in the runs.
};

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_ENGINE_PARTS_H_
