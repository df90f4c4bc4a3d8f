// What the parts of Engine::Impl tell each other. Nothing but engine*.cc includes this.
#ifndef SLIPSTREAM_STORAGE_ENGINE_PARTS_H_
#define SLIPSTREAM_STORAGE_ENGINE_PARTS_H_

#include <cstdint>
#include <vector>

#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "base/digest.h"
#include "base/key_id.h"
#include "storage/keydir.h"
#include "storage/keydir_shard.h"
#include "storage/precondition.h"

namespace slipstream::storage {

// The entry of a record that is current.
struct Held {
  absl::optional<LocatedEntry> located;  // nullopt: there is none, the record is not current.
  bool is_hot = false;                   // It is, or would be, in memory.
  uint64_t generation = 0;               // Of the runs in which it was looked for, if not.
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

// Preconditions, with what can be worked out before any lock is taken.
struct Guard {
  absl::Span<const Precondition> preconditions;
  std::vector<base::KeyId> key_ids;              // One each.
  std::vector<base::ValueDigest> value_digests;  // One each; zeros but for kValue.
  StripeMask stripes = 0;
};

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_ENGINE_PARTS_H_
