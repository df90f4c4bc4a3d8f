// PeerClient: the transport to the other members, one gRPC channel each. It connects when it must,
// fails at once when a peer cannot be reached, and tries again within a second.
#ifndef SLIPSTREAM_NODE_PEER_CLIENT_H_
#define SLIPSTREAM_NODE_PEER_CLIENT_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "node/peer_messages.h"
#include "node/protocol_loop.h"
#include "node/replica.h"

namespace slipstream::node {

// Thread-safe.
class PeerClient final : public PeerTransport {
 public:
  // `endpoints` as ReplicaOptions::peers.
  explicit PeerClient(const std::vector<std::string>& endpoints);
  ~PeerClient() override;

  void Call(PeerIndex peer, PeerRequest request, absl::Duration timeout, Reply reply) override
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Cancels what is under way and waits for its replies; later calls are CANCELLED. May be called
  // again; not from a reply.
  void Stop() ABSL_LOCKS_EXCLUDED(mutex_);

  struct Peer;        // A channel and its stub.
  class PendingCall;  // One call, from its start to its reply.

 private:
  // Forgets a call, which then destroys itself.
  void Remove(PendingCall* call) ABSL_LOCKS_EXCLUDED(mutex_);
  bool IsIdle() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return calls_.empty(); }

  std::vector<std::unique_ptr<Peer>> peers_;
  absl::Mutex mutex_;
  absl::flat_hash_set<PendingCall*> calls_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace slipstream::node

#endif  // SLIPSTREAM_NODE_PEER_CLIENT_H_
