// Gossip: decides what to exchange with whom and when, and with whom to start a repair session.
// Start reading gossip/ here.
//
// A pure object: it has no transport, no thread and no clock. Its owner calls it with what
// happened and does what it appends to a GossipActions. Every interval it wants an exchange of
// NodeSummary with each peer, which is at once the heartbeat and the comparison of roots. Repair
// itself, and what a record is, it does not know.
//
// Who starts a session when two roots differ: of a group of nodes that share one root, the one with
// the smallest node_id, and of two such the smaller. So two sides do not repair one difference
// twice. The others step in only when the difference is neglected (difference.h). One that starts
// twice all the same does no harm but traffic.
#ifndef SLIPSTREAM_GOSSIP_GOSSIP_H_
#define SLIPSTREAM_GOSSIP_GOSSIP_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "base/random.h"
#include "gossip/difference.h"
#include "gossip/node_summary.h"

namespace slipstream::gossip {

using PeerIndex = size_t;  // Into the endpoints given at construction.

struct GossipOptions {
  absl::Duration interval = absl::Seconds(1);
  size_t sessions_max = 2;  // Under way at a time; at most one with each peer.
};

// What the owner is asked to do now.
struct GossipActions {
  std::vector<PeerIndex> exchanges;  // Answer each with OnExchanged or OnExchangeFailed.
  std::vector<PeerIndex> sessions;   // Answer each with OnSessionEnded.
};

enum class PeerState {
  kUnknown,      // Not tried yet.
  kReachable,    // Answered the last exchange.
  kUnreachable,  // Did not.
  kSelf,         // The endpoint leads back to this node.
  kConflict,     // Answers with a node_id that is another node's: nothing is moved to or from it.
};

// A peer as this node sees it.
struct PeerView {
  std::string endpoint;
  PeerState state = PeerState::kUnknown;
  absl::Status error;                   // Why the state is neither kReachable nor kSelf.
  absl::optional<NodeSummary> summary;  // The last one heard.
  absl::optional<absl::Time> last_seen;
};

// Not thread-safe; owned by the replica's protocol path. `now` never goes back.
class Gossip {
 public:
  // `rng` must outlive this object.
  Gossip(const std::vector<std::string>& endpoints, const GossipOptions& options,
         base::Random* rng);

  // Appends the exchanges that are due by `now`: at the first call, with every peer.
  void Tick(absl::Time now, GossipActions& actions);
  // The earliest time at which Tick has something to do.
  absl::Time next_tick() const;

  // The outcome of an exchange. `own` is this node at `now`.
  void OnExchanged(PeerIndex peer, const NodeSummary& theirs, const NodeSummary& own,
                   absl::Time now, GossipActions& actions);
  void OnExchangeFailed(PeerIndex peer, const absl::Status& error);
  // A node told its summary by itself. Proves that it lives, not that it can be reached: one that
  // was unreachable is asked soon.
  void OnHeard(const NodeSummary& theirs, const NodeSummary& own, absl::Time now,
               GossipActions& actions);
  void OnSessionEnded(PeerIndex peer, SessionOutcome outcome, absl::Time now);
  // Something else makes an exchange with `peer` worth while: makes it due soon.
  void HurryExchange(PeerIndex peer, absl::Time now);

  const PeerView& peer(PeerIndex peer) const { return peers_[peer].view; }
  size_t peer_count() const { return peers_.size(); }

  // An endpoint that led to this node is asked again every so many intervals: it may lead to
  // another one later.
  static constexpr int kSelfIntervals = 60;

 private:
  struct Peer {
    PeerView view;
    Difference difference;
    bool exchanging = false;
    bool in_session = false;
    absl::Time last_exchange = absl::InfinitePast();  // When the last one started.
    absl::Time next_exchange = absl::InfinitePast();
  };

  // Returns the peer, reachable or not, that is known to be `node_id`; null if there is none.
  Peer* FindNode(uint64_t node_id);
  // `other` is who has the same node_id.
  void SetConflict(Peer& peer, absl::string_view other);
  void ConsiderSession(PeerIndex index, const NodeSummary& own, absl::Time now,
                       GossipActions& actions);
  bool Starts(const Peer& peer, const NodeSummary& own) const;
  bool RepairsSameRoot(const Peer& peer) const;

  const GossipOptions options_;
  base::Random* const rng_;
  std::vector<Peer> peers_;
  size_t session_count_ = 0;
};

}  // namespace slipstream::gossip

#endif  // SLIPSTREAM_GOSSIP_GOSSIP_H_
