#include "gossip/gossip.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "base/check.h"

namespace slipstream::gossip {
namespace {

// Exchanges that something other than time makes due keep this part of an interval between them, so
// that no two nodes can excite each other to more than that.
constexpr int kHurriedPerInterval = 4;

// Whether an answer with this node's id is this node's own. A copy of its data directory gives
// itself away by another name or life, or by a clock that this node has not reached.
bool IsEcho(const NodeSummary& theirs, const NodeSummary& own) {
  return theirs.actor == own.actor && theirs.name == own.name && theirs.hlc <= own.hlc;
}

}  // namespace

Gossip::Gossip(const std::vector<std::string>& endpoints, const GossipOptions& options,
               base::Random* rng)
    : options_(options), rng_(rng) {
  SLIP_CHECK(options.interval > absl::ZeroDuration());
  for (const std::string& endpoint : endpoints) {
    PeerView view{.endpoint = endpoint,
                  .error = absl::UnavailableError(absl::StrCat(endpoint, ": not tried yet"))};
    peers_.push_back(Peer{.view = std::move(view), .difference = Difference(options.interval)});
  }
}

void Gossip::Tick(absl::Time now, GossipActions& actions) {
  for (PeerIndex index = 0; index < peers_.size(); ++index) {
    Peer& peer = peers_[index];
    if (peer.exchanging || peer.next_exchange > now) continue;
    peer.exchanging = true;
    peer.last_exchange = now;
    // Chance keeps the nodes of a cluster from asking each other in step.
    const absl::Duration pause = options_.interval * (0.9 + 0.2 * rng_->Fraction());
    peer.next_exchange =
        now + (peer.view.state == PeerState::kSelf ? pause * kSelfIntervals : pause);
    actions.exchanges.push_back(index);
  }
}

absl::Time Gossip::next_tick() const {
  absl::Time next = absl::InfiniteFuture();
  for (const Peer& peer : peers_) {
    if (!peer.exchanging) next = std::min(next, peer.next_exchange);
  }
  return next;
}

void Gossip::OnExchanged(PeerIndex index, const NodeSummary& theirs, const NodeSummary& own,
                         absl::Time now, GossipActions& actions) {
  Peer& peer = peers_[index];
  SLIP_CHECK(peer.exchanging);
  peer.exchanging = false;
  peer.view.last_seen = now;
  peer.view.summary = theirs;
  if (theirs.node_id == own.node_id) {
    if (!IsEcho(theirs, own)) {
      SetConflict(peer, "this node");
      return;
    }
    peer.view.state = PeerState::kSelf;
    peer.view.error = absl::OkStatus();
    peer.next_exchange = std::max(peer.next_exchange, now + options_.interval * kSelfIntervals);
    return;
  }
  for (const Peer& other : peers_) {
    if (&other == &peer || other.view.state != PeerState::kReachable) continue;
    if (other.view.summary->node_id == theirs.node_id) {
      SetConflict(peer, other.view.endpoint);
      return;
    }
  }
  if (peer.view.state != PeerState::kReachable) peer.difference.ForgetBackoff();
  peer.view.state = PeerState::kReachable;
  peer.view.error = absl::OkStatus();
  ConsiderSession(index, own, now, actions);
}

void Gossip::OnExchangeFailed(PeerIndex index, const absl::Status& error) {
  Peer& peer = peers_[index];
  SLIP_CHECK(peer.exchanging);
  SLIP_CHECK(!error.ok());
  peer.exchanging = false;
  peer.view.state = PeerState::kUnreachable;
  peer.view.error = error;
}

void Gossip::OnHeard(const NodeSummary& theirs, const NodeSummary& own, absl::Time now,
                     GossipActions& actions) {
  // From an endpoint that leads here, or from a copy: the exchange with it will tell.
  if (theirs.node_id == own.node_id) return;
  if (Peer* const peer = FindNode(theirs.node_id); peer != nullptr) {
    const PeerIndex index = peer - peers_.data();
    peer->view.summary = theirs;
    if (peer->view.state == PeerState::kReachable) {
      ConsiderSession(index, own, now, actions);
    } else {
      HurryExchange(index, now);
    }
    return;
  }
  for (PeerIndex index = 0; index < peers_.size(); ++index) {
    const PeerState state = peers_[index].view.state;
    if (state == PeerState::kUnknown || state == PeerState::kUnreachable) HurryExchange(index, now);
  }
}

void Gossip::OnSessionEnded(PeerIndex index, SessionOutcome outcome, absl::Time now) {
  Peer& peer = peers_[index];
  SLIP_CHECK(peer.in_session);
  peer.in_session = false;
  --session_count_;
  peer.difference.OnSessionEnded(outcome, now, *rng_);
  if (outcome == SessionOutcome::kFailed) HurryExchange(index, now);
  if (outcome != SessionOutcome::kRepaired) return;
  // What was learnt here is news for the others, too.
  for (PeerIndex other = 0; other < peers_.size(); ++other) {
    if (peers_[other].view.state == PeerState::kReachable) HurryExchange(other, now);
  }
}

void Gossip::HurryExchange(PeerIndex index, absl::Time now) {
  Peer& peer = peers_[index];
  const absl::Time soon =
      std::max(now, peer.last_exchange + options_.interval / kHurriedPerInterval);
  peer.next_exchange = std::min(peer.next_exchange, soon);
}

Gossip::Peer* Gossip::FindNode(uint64_t node_id) {
  Peer* found = nullptr;
  for (Peer& peer : peers_) {
    const PeerState state = peer.view.state;
    if (state != PeerState::kReachable && state != PeerState::kUnreachable) continue;
    if (!peer.view.summary.has_value() || peer.view.summary->node_id != node_id) continue;
    // A node that moved stands under its old endpoint, too.
    if (found == nullptr || state == PeerState::kReachable) found = &peer;
  }
  return found;
}

void Gossip::SetConflict(Peer& peer, absl::string_view other) {
  peer.view.state = PeerState::kConflict;
  peer.view.error = absl::FailedPreconditionError(absl::StrFormat(
      "%s answers with node id %016x, which %s has: one data directory is a copy of the other, or "
      "two endpoints lead to one node; nothing is exchanged with it",
      peer.view.endpoint, peer.view.summary->node_id, other));
}

void Gossip::ConsiderSession(PeerIndex index, const NodeSummary& own, absl::Time now,
                             GossipActions& actions) {
  Peer& peer = peers_[index];
  peer.difference.Observe(own.root, peer.view.summary->root, now);
  if (!peer.difference.exists() || peer.in_session || now < peer.difference.not_before()) return;
  if (session_count_ >= options_.sessions_max || RepairsSameRoot(peer)) return;
  if (!Starts(peer, own) && !peer.difference.prompt() && !peer.difference.neglected(now)) return;
  peer.in_session = true;
  ++session_count_;
  actions.sessions.push_back(index);
}

bool Gossip::Starts(const Peer& peer, const NodeSummary& own) const {
  if (own.node_id > peer.view.summary->node_id) return false;
  return std::none_of(peers_.begin(), peers_.end(), [&own](const Peer& other) {
    return other.view.state == PeerState::kReachable && other.view.summary->root == own.root &&
           other.view.summary->node_id < own.node_id;
  });
}

bool Gossip::RepairsSameRoot(const Peer& peer) const {
  return std::any_of(peers_.begin(), peers_.end(), [&peer](const Peer& other) {
    return other.in_session && other.view.summary->root == peer.view.summary->root;
  });
}

}  // namespace slipstream::gossip
