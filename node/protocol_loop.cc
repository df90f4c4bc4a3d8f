#include "node/protocol_loop.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"

namespace slipstream::node {

ProtocolLoop::ProtocolLoop(Replica* replica, CommitQueue* commits, PeerTransport* transport)
    : replica_(replica), commits_(commits), transport_(transport) {
  thread_ = std::thread([this] { Run(); });
}

void ProtocolLoop::Wake() {
  if (wake_requested_.exchange(true, std::memory_order_acq_rel)) return;
  absl::MutexLock lock(&mutex_);
  woken_ = true;
}

void ProtocolLoop::Stop() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  if (thread_.joinable()) thread_.join();
}

void ProtocolLoop::Run() {
  while (true) {
    std::vector<Reply> replies;
    std::vector<PeerCall> released;
    {
      absl::MutexLock lock(&mutex_);
      mutex_.AwaitWithTimeout(absl::Condition(this, &ProtocolLoop::HasWork),
                              std::max(replica_->next_tick() - clock_.Now(), absl::ZeroDuration()));
      if (stopping_) return;
      woken_ = false;
      replies.swap(replies_);
      released.swap(released_);
    }
    // A Wake from now on asks for another round: what it is about may come after this Tick.
    wake_requested_.store(false, std::memory_order_release);
    Outbox outbox;
    for (Reply& reply : replies) {
      replica_->OnReply(reply.call_id, std::move(reply.response), reply.bytes, clock_.Now(),
                        outbox);
    }
    replica_->Tick(clock_.Now(), outbox);
    for (PeerCall& call : released) Send(std::move(call));
    for (PeerCall& call : outbox.calls) Release(std::move(call));
  }
}

void ProtocolLoop::Release(PeerCall call) {
  const storage::Lsn lsn = call.release_lsn;
  commits_->RunWhenDurable(lsn, [this, call = std::move(call)](const absl::Status& status) mutable {
    if (!status.ok()) {
      AddReply({.call_id = call.call_id, .response = status, .bytes = {}});
      return;
    }
    absl::MutexLock lock(&mutex_);
    released_.push_back(std::move(call));
  });
}

void ProtocolLoop::Send(PeerCall call) {
  transport_->Call(
      call.peer, std::move(call.request), call.timeout,
      [this, call_id = call.call_id](absl::StatusOr<PeerResponse> response,
                                     const WireBytes& bytes) {
        AddReply({.call_id = call_id, .response = std::move(response), .bytes = bytes});
      });
}

void ProtocolLoop::AddReply(Reply reply) {
  absl::MutexLock lock(&mutex_);
  replies_.push_back(std::move(reply));
}

}  // namespace slipstream::node
