// StreamPins: which segments hold records of streamed transactions that may still commit.
//
// Those records count as dead until then, so compaction must be told to leave them.
#ifndef SLIPSTREAM_STORAGE_STREAM_PINS_H_
#define SLIPSTREAM_STORAGE_STREAM_PINS_H_

#include <cstdint>
#include <limits>
#include <map>
#include <set>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace slipstream::storage {

// Thread-safe. Its lock is held for a moment, and no other is taken under it.
class StreamPins {
 public:
  // Says, before they are appended, that records of transaction `tx_id` will stand in segment
  // `first_number` or later ones. Until Settle all of those are pinned.
  void Expect(uint64_t tx_id, uint64_t first_number) ABSL_LOCKS_EXCLUDED(mutex_);
  // Says where they stand: they are in `numbers`, beside those told of before.
  void Settle(uint64_t tx_id, const std::set<uint64_t>& numbers) ABSL_LOCKS_EXCLUDED(mutex_);
  // Forgets the transaction, if it was heard of.
  void Release(uint64_t tx_id) ABSL_LOCKS_EXCLUDED(mutex_);

  bool Pins(uint64_t segment_number) const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Pin {
    std::set<uint64_t> numbers;
    uint64_t from = std::numeric_limits<uint64_t>::max();  // All from here on.
  };

  mutable absl::Mutex mutex_;
  std::map<uint64_t, Pin> pins_ ABSL_GUARDED_BY(mutex_);  // By tx_id.
};

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_STREAM_PINS_H_
