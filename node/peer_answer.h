// What a replica answers to the requests of its peers' repair sessions and pushes.
//
// Answered from the state at hand: nothing is kept between calls. Requests may be hostile: what
// breaks the protocol is refused, whole, before anything is applied.
#ifndef SLIPSTREAM_NODE_PEER_ANSWER_H_
#define SLIPSTREAM_NODE_PEER_ANSWER_H_

#include <cstddef>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "merkle/reconcile.h"
#include "node/peer_messages.h"
#include "node/replica_store.h"
#include "storage/entry.h"

namespace slipstream::node {

// The bounds of this side; they need not be the peer's.
struct PeerAnswerLimits {
  absl::Duration clock_skew_max;
  size_t message_bytes_max = 0;
};

// The key_ids that one request may ask for.
inline constexpr size_t kFetchKeyIdsMax = 4096;

// The limits of reconciliation that fit the transport's messages.
merkle::ReconcileLimits ReconcileLimitsFor(size_t message_bytes_max);

// All functions here are thread-safe. They return INVALID_ARGUMENT (MESSAGE_INVALID) if the request
// breaks the protocol, and what the engine returns.

// Reads current records until the response is full, the first one in any case. Skips keys that do
// not exist and those whose record is damaged: the peer must get them elsewhere.
absl::StatusOr<FetchRecordsResponse> AnswerFetchRecords(ReplicaStore& store,
                                                        const FetchRecordsRequest& request,
                                                        const PeerAnswerLimits& limits);

// Applies each group but those with a record from the future, which are held back whole.
absl::StatusOr<PushRecordsResponse> AnswerPushRecords(ReplicaStore& store,
                                                      const PushRecordsRequest& request,
                                                      const PeerAnswerLimits& limits,
                                                      absl::Time now);

}  // namespace slipstream::node

#endif  // SLIPSTREAM_NODE_PEER_ANSWER_H_
