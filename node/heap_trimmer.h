// HeapTrimmer: gives memory back to the system which malloc keeps though it is free.
//
// malloc returns only what lies at the end of its arenas by itself: little of that stays from here
// on, and what is large gets a map of its own. In the arenas, what was freed leaves holes between
// what stays. While the process has more memory of its own than it may, the
// thread calls malloc_trim(3), which returns the whole pages in those holes. That holds an arena's
// lock for as long as it goes through that arena, and whoever allocates from it waits: so it is
// done seldom, and from a thread of ordinary priority, which nobody keeps from ending.
#ifndef SLIPSTREAM_NODE_HEAP_TRIMMER_H_
#define SLIPSTREAM_NODE_HEAP_TRIMMER_H_

#include <cstdint>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace slipstream::node {

// When to trim. Not thread-safe.
class TrimPace {
 public:
  explicit TrimPace(uint64_t bytes_max) : bytes_max_(bytes_max), due_bytes_(bytes_max) {}

  // Whether to trim at `now`, on a clock that never goes back, if the process has `bytes`: more
  // than it may, and more by a part of that than the last trim has left, so that it is worth
  // another.
  bool IsDue(absl::Duration now, uint64_t bytes) const;
  // Notes a trim that ended at `now`, took `duration` and left the process `bytes`.
  void NoteTrim(absl::Duration now, absl::Duration duration, uint64_t bytes);

 private:
  const uint64_t bytes_max_;
  uint64_t due_bytes_;  // Beyond these.
  absl::Duration next_at_ = absl::ZeroDuration();
};

// Thread-safe.
class HeapTrimmer {
 public:
  // Sets malloc's limits, for the process, and starts the thread, unless `bytes_max` is 0: no
  // limit.
  explicit HeapTrimmer(uint64_t bytes_max);
  ~HeapTrimmer();
  HeapTrimmer(const HeapTrimmer&) = delete;
  HeapTrimmer& operator=(const HeapTrimmer&) = delete;

 private:
  void Run(uint64_t bytes_max) ABSL_LOCKS_EXCLUDED(mutex_);

  absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // Made by the constructor, joined by the destructor.
};

// Returns the memory that this process has to itself: what is resident and belongs to no file; 0 if
// the system does not tell.
uint64_t OwnMemoryBytes();

}  // namespace slipstream::node

#endif  // SLIPSTREAM_NODE_HEAP_TRIMMER_H_
