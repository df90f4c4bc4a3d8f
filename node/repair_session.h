// RepairSession: one reconciliation with one peer, from the first request to the last record.
//
// Three stages, one call under way at a time: compare the trees, fetch what the peer has newer,
// hand over what this side has newer. It has no transport: its owner sends what Next returns and
// brings the answer. The protocol of the first stage: docs/merkle.md.
#ifndef SLIPSTREAM_NODE_REPAIR_SESSION_H_
#define SLIPSTREAM_NODE_REPAIR_SESSION_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "base/key_id.h"
#include "base/random.h"
#include "merkle/reconcile.h"
#include "node/peer_answer.h"
#include "node/peer_messages.h"
#include "node/replica_store.h"
#include "node/replica_types.h"
#include "storage/entry.h"

namespace slipstream::node {

// Not thread-safe; owned by the replica's protocol path.
class RepairSession {
 public:
  // `store` must outlive the session; `rng` is used here only.
  RepairSession(ReplicaStore* store, const PeerAnswerLimits& limits, base::Random* rng);

  struct Step {
    PeerRequest request;
    storage::Lsn release_lsn = 0;
  };
  // Returns the next request; none: the session is complete. The last one has been answered.
  absl::optional<Step> Next();

  // Takes the answer to the last request. INVALID_ARGUMENT (MESSAGE_INVALID) if it does not fit it,
  // or what the engine returns: the session is then over. What was applied stays.
  absl::Status OnResponse(const PeerResponse& response, const WireBytes& bytes, absl::Time now);
  // The last request got no answer: the session is over.
  void OnNoResponse(const WireBytes& bytes);

  // What was moved up to now; that the session itself is one, its owner counts.
  const RepairStats& traffic() const { return traffic_; }
  // Whether some record was new to one of the sides.
  bool was_of_use() const { return was_of_use_; }

 private:
  absl::optional<Step> NextFetch();
  absl::optional<Step> NextPush();
  absl::Status OnReconciled(const merkle::ReconcileResponse& response, absl::Time now);
  absl::Status OnFetched(const FetchRecordsResponse& response, absl::Time now);
  absl::Status OnPushed(const PushRecordsResponse& response);
  // Counts the messages of one call, `record_bytes` of which were keys and values.
  void CountBytes(const WireBytes& bytes, uint64_t record_bytes);

  ReplicaStore* const store_;
  const PeerAnswerLimits limits_;
  merkle::Reconciler reconciler_;
  std::deque<merkle::EntrySummary> needed_;
  std::deque<base::KeyId> offered_;

  // The call under way.
  std::vector<merkle::EntrySummary> asked_;  // Of a fetch, in the order of the request.
  uint64_t pushed_record_count_ = 0;         // Of a push,
  uint64_t pushed_record_bytes_ = 0;         // with its keys and values.

  // How many records the next fetch asks for: adapts to how many the last one brought, so that
  // large records do not make every request repeat a long list.
  size_t fetch_count_;
  RepairStats traffic_;
  bool was_of_use_ = false;
};

}  // namespace slipstream::node

#endif  // SLIPSTREAM_NODE_REPAIR_SESSION_H_
