// Loopback: runs a whole reconciliation session between two views in one thread and counts what it
// would take on the wire. For tests and benchmarks.
#ifndef SLIPSTREAM_MERKLE_TESTING_LOOPBACK_H_
#define SLIPSTREAM_MERKLE_TESTING_LOOPBACK_H_

#include <cstddef>
#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "base/key_id.h"
#include "base/random.h"
#include "merkle/reconcile.h"
#include "merkle/reconcile_message.h"
#include "merkle/reconcile_view.h"

namespace slipstream::merkle::testing {

struct SessionResult {
  // OK, or what ended the session.
  absl::Status status;
  std::vector<EntrySummary> needed;
  std::vector<base::KeyId> offered;
  size_t round_trips = 0;
  // Of the messages in slipstream/v1/peer.proto, without what a transport adds.
  size_t request_bytes = 0;
  size_t response_bytes = 0;
  size_t largest_message_bytes = 0;
};

struct SessionOptions {
  ReconcileLimits initiator_limits;
  ReconcileLimits responder_limits;
  // Called between a request and its answer, and again after the answer: to change either side.
  std::function<void()> between_messages = [] {};
};

// Runs one session to its end.
SessionResult RunSession(ReconcileView& initiator, ReconcileView& responder,
                         const SessionOptions& options, base::Random& rng);

// What the message takes in Protobuf.
size_t WireBytes(const ReconcileRequest& request);
size_t WireBytes(const ReconcileResponse& response);

}  // namespace slipstream::merkle::testing

#endif  // SLIPSTREAM_MERKLE_TESTING_LOOPBACK_H_
