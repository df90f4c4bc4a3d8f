// What the parts of Engine::Impl tell each other. Nothing but engine*.cc includes this.
#ifndef SLIPSTREAM_STORAGE_ENGINE_PARTS_H_
#define SLIPSTREAM_STORAGE_ENGINE_PARTS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "base/digest.h"
#include "base/key_id.h"
#include "storage/entry.h"
#include "storage/keydir.h"
#include "storage/keydir_shard.h"
#include "storage/log_bytes.h"
#include "storage/log_read.h"
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

// What MakeKnown learned of some keys.
struct Known {
  uint64_t generation = 0;   // Of the runs, before the look at them.
  std::vector<bool> absent;  // One each: neither in memory nor in the runs.
};

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_ENGINE_PARTS_H_
