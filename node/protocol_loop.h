// ProtocolLoop: the thread that owns a replica's protocol path. It wakes when a tick is due, when a
// reply has come and when writes wait to be pushed; it sends each call when the records it speaks
// of are durable. PeerTransport is what it sends them through.
#ifndef SLIPSTREAM_NODE_PROTOCOL_LOOP_H_
#define SLIPSTREAM_NODE_PROTOCOL_LOOP_H_

#include <atomic>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "node/commit_queue.h"
#include "node/peer_messages.h"
#include "node/real_clock.h"
#include "node/replica.h"

namespace slipstream::node {

// Carries requests to peers. Thread-safe.
class PeerTransport {
 public:
  using Reply = absl::AnyInvocable<void(absl::StatusOr<PeerResponse>, const WireBytes&)>;

  virtual ~PeerTransport() = default;
  // Sends `request` and runs `reply` once, on any thread: with the response; DEADLINE_EXCEEDED
  // after `timeout`; UNAVAILABLE at once if the peer cannot be reached; or the peer's error.
  virtual void Call(PeerIndex peer, PeerRequest request, absl::Duration timeout, Reply reply) = 0;
};

// Thread-safe.
class ProtocolLoop {
 public:
  // Starts the thread. All three must outlive the loop, and `commits` and `transport` must have run
  // all their callbacks before the loop is destroyed.
  ProtocolLoop(Replica* replica, CommitQueue* commits, PeerTransport* transport);
  ~ProtocolLoop() { Stop(); }
  ProtocolLoop(const ProtocolLoop&) = delete;
  ProtocolLoop& operator=(const ProtocolLoop&) = delete;

  // Looks soon at what the replica has to send. Cheap when it has been asked to already.
  void Wake() ABSL_LOCKS_EXCLUDED(mutex_);

  // Ends the thread; replies that come later are dropped. May be called again.
  void Stop() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Reply {
    CallId call_id = 0;
    absl::StatusOr<PeerResponse> response;
    WireBytes bytes;
  };

  void Run() ABSL_LOCKS_EXCLUDED(mutex_);
  // Lets `call` be sent when what it speaks of is durable.
  void Release(PeerCall call) ABSL_LOCKS_EXCLUDED(mutex_);
  void Send(PeerCall call);
  void AddReply(Reply reply) ABSL_LOCKS_EXCLUDED(mutex_);

  bool HasWork() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return stopping_ || woken_ || !replies_.empty() || !released_.empty();
  }

  Replica* const replica_;
  CommitQueue* const commits_;
  PeerTransport* const transport_;
  ForwardClock clock_;                        // Of the thread.
  std::atomic<bool> wake_requested_ = false;  // Spares Wake the lock.

  absl::Mutex mutex_;
  bool woken_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<Reply> replies_ ABSL_GUARDED_BY(mutex_);
  std::vector<PeerCall> released_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;  // Made by the constructor, joined by Stop.
};

}  // namespace slipstream::node

#endif  // SLIPSTREAM_NODE_PROTOCOL_LOOP_H_
