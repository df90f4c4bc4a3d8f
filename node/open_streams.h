// OpenStreams: the streams that a client may hold open for ever, so that a drain can end them.
#ifndef SLIPSTREAM_NODE_OPEN_STREAMS_H_
#define SLIPSTREAM_NODE_OPEN_STREAMS_H_

#include <set>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace slipstream::node {

class DrainableStream {
 public:
  virtual ~DrainableStream() = default;
  // Answers what was read, then ends the stream. Must not wait for either.
  virtual void Drain() = 0;
};

// Thread-safe.
class OpenStreams {
 public:
  // `stream` must be removed before it is destroyed. It is drained at once if all are.
  void Add(DrainableStream* stream) ABSL_LOCKS_EXCLUDED(mutex_);
  // Waits for a Drain of it that is under way.
  void Remove(DrainableStream* stream) ABSL_LOCKS_EXCLUDED(mutex_);
  void DrainAll() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  absl::Mutex mutex_;
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
  std::set<DrainableStream*> streams_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace slipstream::node

#endif  // SLIPSTREAM_NODE_OPEN_STREAMS_H_
