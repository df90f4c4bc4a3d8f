#include "node/replica_protocol.h"

#include <algorithm>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/error_reason.h"

namespace slipstream::node {
namespace {

// Nodes whose unasked summaries are remembered until the next Tick; more are not members.
constexpr size_t kHeardMax = 256;

// The time an exchange may take at least, however short the interval.
constexpr absl::Duration kExchangeTimeoutMin = absl::Seconds(1);

// The kinds of the calls that are not of a session.
constexpr size_t kExchangeRoots = 0;
constexpr size_t kPushRecords = 3;
static_assert(
    std::is_same_v<std::variant_alternative_t<kExchangeRoots, PeerRequest>, ExchangeRootsRequest>);
static_assert(
    std::is_same_v<std::variant_alternative_t<kPushRecords, PeerRequest>, PushRecordsRequest>);

// An unreachable peer is to be found again soon after it is back, so an exchange does not wait for
// its answer much longer than until the next is due.
absl::Duration ExchangeTimeout(const ReplicaOptions& options) {
  return std::min(options.call_timeout, std::max(2 * options.gossip_interval, kExchangeTimeoutMin));
}

PeerAnswerLimits LimitsOf(const ReplicaOptions& options) {
  return {.clock_skew_max = options.clock_skew_max, .message_bytes_max = options.message_bytes_max};
}

// Whether a call's `error` speaks against the peer being there, rather than against the call.
bool IsOfTransport(const absl::Status& error) {
  return absl::IsUnavailable(error) || absl::IsDeadlineExceeded(error) || absl::IsCancelled(error);
}

void Add(const RepairStats& from, RepairStats& to) {
  to.session_count += from.session_count;
  to.failed_session_count += from.failed_session_count;
  to.round_trip_count += from.round_trip_count;
  to.metadata_bytes += from.metadata_bytes;
  to.received_record_count += from.received_record_count;
  to.received_record_bytes += from.received_record_bytes;
  to.sent_record_count += from.sent_record_count;
  to.sent_record_bytes += from.sent_record_bytes;
  to.held_back_record_count += from.held_back_record_count;
}

}  // namespace

ReplicaProtocol::ReplicaProtocol(ReplicaStore* store, const ReplicaOptions& options,
                                 base::Random* rng)
    : store_(store),
      options_(options),
      rng_(rng),
      gossip_(options.peers,
              {.interval = options.gossip_interval, .sessions_max = options.sessions_max}, rng),
      peers_(options.peers.size()) {
  for (Peer& peer : peers_) {
    peer.queue =
        std::make_unique<PushQueue>(options.push_queue_bytes_max, options.message_bytes_max);
  }
  PublishMembers();
}

void ReplicaProtocol::Tick(absl::Time now, Outbox& outbox) {
  // Cleared before anything is looked at: what comes meanwhile sets it again.
  has_outgoing_.store(false, std::memory_order_release);
  const std::map<uint64_t, NodeSummary> heard = TakeHeard();
  if (!heard.empty() || gossip_.next_tick() <= now) {
    gossip::GossipActions actions;
    const NodeSummary own = store_->Summary(options_.name);
    for (const auto& [node_id, summary] : heard) gossip_.OnHeard(summary, own, now, actions);
    gossip_.Tick(now, actions);
    for (const PeerIndex peer : actions.exchanges) SendExchange(peer, own, outbox);
    for (const PeerIndex peer : actions.sessions) StartSession(peer, now, outbox);
    PublishMembers();
  }
  for (PeerIndex index = 0; index < peers_.size(); ++index) SendPushes(index, outbox);
}

void ReplicaProtocol::OnReply(CallId call_id, absl::StatusOr<PeerResponse> response,
                              const WireBytes& bytes, absl::Time now, Outbox& outbox) {
  const auto found = pending_.find(call_id);
  if (found == pending_.end()) return;
  const PendingCall pending = found->second;
  pending_.erase(found);
  if (response.ok() && response->index() != pending.kind) {
    response = base::WithReason(
        absl::InvalidArgumentError(absl::StrCat("response of kind ", response->index(),
                                                " to a request of kind ", pending.kind)),
        base::kReasonMessageInvalid);
  }
  if (pending.is_of_session) {
    OnSessionReply(pending.peer, response, bytes, now, outbox);
  } else if (pending.kind == kExchangeRoots) {
    OnExchangeReply(pending.peer, response, now, outbox);
  } else {
    OnPushReply(pending, response, now, outbox);
  }
}

bool ReplicaProtocol::takes_pushes() const {
  return std::any_of(peers_.begin(), peers_.end(),
                     [](const Peer& peer) { return peer.queue->is_open(); });
}

void ReplicaProtocol::Push(const std::shared_ptr<const PushBatch>& batch) {
  uint64_t dropped = 0;
  for (const Peer& peer : peers_) dropped += peer.queue->Add(batch);
  CountDropped(dropped);
  has_outgoing_.store(true, std::memory_order_release);
}

void ReplicaProtocol::OnHeard(const NodeSummary& sender) {
  if (peers_.empty()) return;
  {
    absl::MutexLock lock(&mutex_);
    if (heard_.size() >= kHeardMax && heard_.count(sender.node_id) == 0) return;
    heard_[sender.node_id] = sender;
  }
  has_outgoing_.store(true, std::memory_order_release);
}

void ReplicaProtocol::OnPushAnswered(const PushRecordsResponse& response) {
  absl::MutexLock lock(&mutex_);
  push_stats_.received_record_count += response.applied_count;
  repair_stats_.held_back_record_count += response.held_back_count;
}

std::vector<MemberState> ReplicaProtocol::members() const {
  absl::MutexLock lock(&mutex_);
  return members_;
}

RepairStats ReplicaProtocol::repair_stats() const {
  absl::MutexLock lock(&mutex_);
  return repair_stats_;
}

PushStats ReplicaProtocol::push_stats() const {
  absl::MutexLock lock(&mutex_);
  return push_stats_;
}

void ReplicaProtocol::SendCall(const PendingCall& pending, PeerRequest request,
                               storage::Lsn release_lsn, absl::Duration timeout, Outbox& outbox) {
  SLIP_CHECK(request.index() == pending.kind);
  const CallId call_id = ++last_call_id_;
  pending_.emplace(call_id, pending);
  outbox.calls.push_back({.call_id = call_id,
                          .peer = pending.peer,
                          .request = std::move(request),
                          .release_lsn = release_lsn,
                          .timeout = timeout});
}

void ReplicaProtocol::SendExchange(PeerIndex index, const NodeSummary& own, Outbox& outbox) {
  SendCall({.peer = index, .kind = kExchangeRoots}, ExchangeRootsRequest{.sender = own},
           store_->ExposedLsn(), ExchangeTimeout(options_), outbox);
}

void ReplicaProtocol::SendPushes(PeerIndex index, Outbox& outbox) {
  Peer& peer = peers_[index];
  while (peer.push_call_count < options_.push_calls_max) {
    absl::optional<PushLoad> load = peer.queue->Take();
    if (!load.has_value()) return;
    ++peer.push_call_count;
    SendCall({.peer = index, .kind = kPushRecords, .pushed_record_count = load->record_count},
             std::move(load->request), load->release_lsn, options_.call_timeout, outbox);
  }
}

void ReplicaProtocol::StartSession(PeerIndex index, absl::Time now, Outbox& outbox) {
  SLIP_CHECK(peers_[index].session == nullptr);
  peers_[index].session = std::make_unique<RepairSession>(store_, LimitsOf(options_), rng_);
  AdvanceSession(index, now, outbox);
}

void ReplicaProtocol::AdvanceSession(PeerIndex index, absl::Time now, Outbox& outbox) {
  absl::optional<RepairSession::Step> step = peers_[index].session->Next();
  if (!step.has_value()) {
    EndSession(index, absl::OkStatus(), now);
    return;
  }
  const size_t kind = step->request.index();
  SendCall({.peer = index, .kind = kind, .is_of_session = true}, std::move(step->request),
           step->release_lsn, options_.call_timeout, outbox);
}

void ReplicaProtocol::EndSession(PeerIndex index, const absl::Status& status, absl::Time now) {
  Peer& peer = peers_[index];
  const std::unique_ptr<RepairSession> session = std::move(peer.session);
  gossip::SessionOutcome outcome = gossip::SessionOutcome::kFailed;
  if (status.ok()) {
    outcome = session->was_of_use() ? gossip::SessionOutcome::kRepaired
                                    : gossip::SessionOutcome::kNothing;
  }
  gossip_.OnSessionEnded(index, outcome, now);
  peer.repair_error = status;
  {
    absl::MutexLock lock(&mutex_);
    Add(session->traffic(), repair_stats_);
    ++(status.ok() ? repair_stats_.session_count : repair_stats_.failed_session_count);
  }
  PublishMembers();
}

void ReplicaProtocol::OnExchangeReply(PeerIndex index, const absl::StatusOr<PeerResponse>& response,
                                      absl::Time now, Outbox& outbox) {
  gossip::GossipActions actions;
  if (response.ok()) {
    gossip_.OnExchanged(index, std::get<ExchangeRootsResponse>(*response).responder,
                        store_->Summary(options_.name), now, actions);
  } else {
    gossip_.OnExchangeFailed(index, response.status());
  }
  if (gossip_.peer(index).state == gossip::PeerState::kReachable) {
    peers_[index].queue->Open();
  } else {
    CountDropped(peers_[index].queue->Close());
  }
  for (const PeerIndex peer : actions.sessions) StartSession(peer, now, outbox);
  PublishMembers();
}

void ReplicaProtocol::OnSessionReply(PeerIndex index, const absl::StatusOr<PeerResponse>& response,
                                     const WireBytes& bytes, absl::Time now, Outbox& outbox) {
  RepairSession& session = *peers_[index].session;
  if (!response.ok()) {
    session.OnNoResponse(bytes);
    EndSession(index, response.status(), now);
    return;
  }
  const absl::Status status = session.OnResponse(*response, bytes, now);
  if (!status.ok()) {
    EndSession(index, status, now);
    return;
  }
  AdvanceSession(index, now, outbox);
}

void ReplicaProtocol::OnPushReply(const PendingCall& pending,
                                  const absl::StatusOr<PeerResponse>& response, absl::Time now,
                                  Outbox& outbox) {
  --peers_[pending.peer].push_call_count;
  if (response.ok()) {
    const uint64_t held_back = std::get<PushRecordsResponse>(*response).held_back_count;
    absl::MutexLock lock(&mutex_);
    push_stats_.pushed_record_count +=
        pending.pushed_record_count - std::min(held_back, pending.pushed_record_count);
  } else {
    CountDropped(pending.pushed_record_count);
    if (IsOfTransport(response.status())) gossip_.HurryExchange(pending.peer, now);
  }
  SendPushes(pending.peer, outbox);
}

std::map<uint64_t, NodeSummary> ReplicaProtocol::TakeHeard() {
  absl::MutexLock lock(&mutex_);
  return std::exchange(heard_, {});
}

void ReplicaProtocol::CountDropped(uint64_t record_count) {
  if (record_count == 0) return;
  absl::MutexLock lock(&mutex_);
  push_stats_.dropped_record_count += record_count;
}

void ReplicaProtocol::PublishMembers() {
  std::vector<MemberState> members;
  for (PeerIndex index = 0; index < peers_.size(); ++index) {
    const gossip::PeerView& view = gossip_.peer(index);
    members.push_back({.endpoint = view.endpoint,
                       .self = view.state == gossip::PeerState::kSelf,
                       .reachable = view.state == gossip::PeerState::kReachable,
                       .summary = view.summary,
                       .last_seen = view.last_seen,
                       .error = view.error,
                       .repair_error = peers_[index].repair_error});
  }
  absl::MutexLock lock(&mutex_);
  members_ = std::move(members);
}

}  // namespace slipstream::node
