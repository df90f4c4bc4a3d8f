// PushQueue: new writes on their way to one peer.
//
// Bounded, and best effort: what does not fit, or was queued for a peer that went away, is given
// up and left to repair, which finds it by the roots.
#ifndef SLIPSTREAM_NODE_PUSH_QUEUE_H_
#define SLIPSTREAM_NODE_PUSH_QUEUE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "node/peer_messages.h"
#include "storage/engine.h"
#include "storage/entry.h"

namespace slipstream::node {

// The records of one Write, made once and queued for every peer.
struct PushBatch {
  std::vector<std::vector<storage::Record>> groups;
  storage::Lsn release_lsn = 0;
  size_t bytes = 0;  // At least what `groups` take in messages.
};

// Makes the batch for what `result` says became of `mutations`.
PushBatch MakePushBatch(absl::Span<const storage::Mutation> mutations, storage::Atomicity atomicity,
                        const storage::WriteResult& result, storage::Lsn release_lsn);

// A call's worth of what was queued.
struct PushLoad {
  PushRecordsRequest request;
  storage::Lsn release_lsn = 0;
  uint64_t record_count = 0;
};

// Thread-safe.
class PushQueue {
 public:
  // Holds at most `queue_bytes_max`. No load exceeds `message_bytes_max` unless one record does.
  PushQueue(size_t queue_bytes_max, size_t message_bytes_max)
      : queue_bytes_max_(queue_bytes_max), message_bytes_max_(message_bytes_max) {}

  // Starts to take batches.
  void Open();
  // Stops, gives up what is queued and returns how many records that were.
  uint64_t Close() ABSL_LOCKS_EXCLUDED(mutex_);
  // Whether batches are taken. Cheap, for a writer to ask before it makes one.
  bool is_open() const { return is_open_.load(std::memory_order_relaxed); }

  // Queues `batch` and returns how many of its records were given up instead: all if the queue is
  // full, and groups of several records that exceed a message. Closed: none, and nothing is queued.
  // Shared: the same batch stands in the queues of all peers.
  uint64_t Add(const std::shared_ptr<const PushBatch>& batch) ABSL_LOCKS_EXCLUDED(mutex_);

  // Takes out as many of the oldest groups as a message holds; none if nothing is queued.
  absl::optional<PushLoad> Take() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  bool FitsMessage(const std::vector<storage::Record>& group) const;

  const size_t queue_bytes_max_;
  const size_t message_bytes_max_;
  std::atomic<bool> is_open_ = false;
  absl::Mutex mutex_;
  std::deque<std::shared_ptr<const PushBatch>> batches_ ABSL_GUARDED_BY(mutex_);
  size_t group_index_ ABSL_GUARDED_BY(mutex_) = 0;  // The first of batches_.front() not yet taken.
  size_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;        // Of all of batches_.
};

}  // namespace slipstream::node

#endif  // SLIPSTREAM_NODE_PUSH_QUEUE_H_
