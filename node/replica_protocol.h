// ReplicaProtocol: what a replica says to its peers by itself: exchanges of roots, repair sessions,
// pushes of new writes.
//
// Gossip decides, RepairSession and PushQueue make the requests; this class turns them into calls
// and brings each reply to whom it concerns.
#ifndef SLIPSTREAM_NODE_REPLICA_PROTOCOL_H_
#define SLIPSTREAM_NODE_REPLICA_PROTOCOL_H_

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "base/random.h"
#include "gossip/gossip.h"
#include "node/peer_messages.h"
#include "node/push_queue.h"
#include "node/repair_session.h"
#include "node/replica_store.h"
#include "node/replica_types.h"

namespace slipstream::node {

// Thread-compatible but for the methods that say otherwise: one owner makes all other calls.
class ReplicaProtocol {
 public:
  // `store` and `rng` must outlive this object; `rng` is used by the owner's calls only.
  ReplicaProtocol(ReplicaStore* store, const ReplicaOptions& options, base::Random* rng);

  // As Replica's methods of the same names.
  void Tick(absl::Time now, Outbox& outbox);
  absl::Time next_tick() const { return gossip_.next_tick(); }
  void OnReply(CallId call_id, absl::StatusOr<PeerResponse> response, const WireBytes& bytes,
               absl::Time now, Outbox& outbox);

  // The rest is thread-safe.

  // Whether any peer takes pushes: if not, there is no need to make a batch.
  bool takes_pushes() const;
  // Queues `batch` for every peer that takes pushes.
  void Push(const std::shared_ptr<const PushBatch>& batch);
  // A peer asked for an exchange of roots.
  void OnHeard(const NodeSummary& sender);
  // A peer's push was answered.
  void OnPushAnswered(const PushRecordsResponse& response);

  bool has_outgoing() const { return has_outgoing_.load(std::memory_order_acquire); }
  std::vector<MemberState> members() const;
  RepairStats repair_stats() const;
  PushStats push_stats() const;

 private:
  // A call under way.
  struct PendingCall {
    PeerIndex peer = 0;
    size_t kind = 0;  // The index of its request's alternative.
    bool is_of_session = false;
    uint64_t pushed_record_count = 0;
  };
  struct Peer {
    std::unique_ptr<PushQueue> queue;
    size_t push_call_count = 0;              // Under way.
    std::unique_ptr<RepairSession> session;  // Null if there is none.
    absl::Status repair_error;
  };

  void SendCall(const PendingCall& pending, PeerRequest request, storage::Lsn release_lsn,
                absl::Duration timeout, Outbox& outbox);
  void SendExchange(PeerIndex index, const NodeSummary& own, Outbox& outbox);
  void SendPushes(PeerIndex index, Outbox& outbox);
  void StartSession(PeerIndex index, absl::Time now, Outbox& outbox);
  // Sends the session's next request, or ends it.
  void AdvanceSession(PeerIndex index, absl::Time now, Outbox& outbox);
  void EndSession(PeerIndex index, const absl::Status& status, absl::Time now);
  void OnExchangeReply(PeerIndex index, const absl::StatusOr<PeerResponse>& response,
                       absl::Time now, Outbox& outbox);
  void OnSessionReply(PeerIndex index, const absl::StatusOr<PeerResponse>& response,
                      const WireBytes& bytes, absl::Time now, Outbox& outbox);
  void OnPushReply(const PendingCall& pending, const absl::StatusOr<PeerResponse>& response,
                   absl::Time now, Outbox& outbox);
  std::map<uint64_t, NodeSummary> TakeHeard();
  void CountDropped(uint64_t record_count);
  // Brings what the thread-safe side shows of the peers up to date.
  void PublishMembers();

  ReplicaStore* const store_;
  const ReplicaOptions options_;
  base::Random* const rng_;
  gossip::Gossip gossip_;
  std::vector<Peer> peers_;  // Their queues are thread-safe.
  std::map<CallId, PendingCall> pending_;
  CallId last_call_id_ = 0;

  std::atomic<bool> has_outgoing_ = false;
  mutable absl::Mutex mutex_;
  // Of each node_id the last summary that came by itself; no more than kHeardMax.
  std::map<uint64_t, NodeSummary> heard_ ABSL_GUARDED_BY(mutex_);
  std::vector<MemberState> members_ ABSL_GUARDED_BY(mutex_);
  RepairStats repair_stats_ ABSL_GUARDED_BY(mutex_);
  PushStats push_stats_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace slipstream::node

#endif  // SLIPSTREAM_NODE_REPLICA_PROTOCOL_H_
