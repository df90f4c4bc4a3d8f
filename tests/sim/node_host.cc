#include "tests/sim/node_host.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "base/crc32c.h"
#include "node/wire.h"
#include "storage/engine.h"
#include "storage/options.h"
#include "tests/sim/network.h"
#include "tests/sim/trace.h"

namespace slipstream::sim {
namespace {

constexpr char kDirectory[] = "data";
constexpr absl::Duration kBackgroundInterval = absl::Milliseconds(100);
// Steps of maintenance in a row; a checkpoint takes several.
constexpr uint64_t kMaintenanceStepsMax = 12;
constexpr absl::Duration kPumpDelayMax = absl::Milliseconds(2);
constexpr absl::Duration kRestartDelay = absl::Milliseconds(300);

// Calls `use` for each record in a request.
template <typename Use>
void ForEachRecord(const node::PeerRequest& request, Use use) {
  const auto* push = std::get_if<node::PushRecordsRequest>(&request);
  if (push == nullptr) return;
  for (const auto& group : push->groups) {
    for (const storage::Record& record : group) use(record);
  }
}

}  // namespace

NodeHost::NodeHost(size_t index, const NodeConfig& config, World* world, base::Random rng)
    : index_(index),
      options_(config.replica),
      flush_delay_max_(config.flush_delay_max),
      scrubs_(config.scrubs),
      world_(world),
      rng_(rng),
      replica_rng_(rng_.Fork()),
      clock_(world->scheduler.now(), config.clock_offset, config.clock_drift) {}

void NodeHost::Start() {
  if (is_up()) return;
  ++life_;
  auto replica = node::Replica::Open(&disk_, kDirectory, options_, &replica_rng_);
  if (!replica.ok()) {
    // The disk fails still, as it was told to: the operator tries again.
    if (absl::IsUnavailable(replica.status())) {
      disk_.Kill();
      Later(kRestartDelay, [this] { Start(); });
      return;
    }
    world_->failures.Report(
        "P8 recovery",
        absl::StrCat("node ", index_, " does not open: ", replica.status().ToString()));
    return;
  }
  replica_ = *std::move(replica);
  Record("start", life_, static_cast<uint64_t>(replica_->engine().actor()));
  world_->Tell(&Checker::OnStarted, index_, *replica_);
  RunBackground();
  if (is_up()) Pump();
}

void NodeHost::Crash(Death death) {
  if (!is_up()) return;
  Record("crash", life_, death == Death::kPowerLoss ? 1 : 0);
  ++life_;
  replica_.reset();
  calls_.clear();
  waiting_.clear();
  flush_is_scheduled_ = false;
  paused_until_ = absl::InfinitePast();
  if (death == Death::kPowerLoss) {
    disk_.Crash(&rng_);
  } else {
    disk_.Kill();
  }
  world_->Tell(&Checker::OnCrashed, index_);
}

void NodeHost::Write(const ClientWrite& write, std::function<void(const absl::Status&)> reply) {
  if (!is_up()) return;
  RunUnpaused(life_, [this, write, reply] {
    std::vector<storage::Mutation> mutations;
    for (size_t index = 0; index < write.keys.size(); ++index) {
      mutations.push_back(
          {.kind = write.kinds[index], .key = write.keys[index], .value = write.values[index]});
    }
    const auto result = replica_->Write(mutations, write.atomicity, Now());
    if (!result.ok()) {
      Record("refuse", write.operation_ids[0], 0, result.status().message());
      reply(result.status());
      return;
    }
    ExecutedWrite executed{.atomicity = write.atomicity,
                           .operation_ids = write.operation_ids,
                           .lsn = replica_->engine().appended_lsn()};
    for (size_t index = 0; index < mutations.size(); ++index) {
      executed.records.push_back(
          {.key = write.keys[index],
           .value = write.values[index],
           .version = result->versions[index],
           .sequence = result->sequences[index],
           .tombstone = write.kinds[index] == storage::Mutation::Kind::kDelete});
      Record("write", write.operation_ids[index], result->versions[index].hlc, write.keys[index]);
    }
    world_->Tell(&Checker::OnExecuted, index_, executed);
    WhenDurable(result->lsn, [this, executed, reply] {
      Record("acknowledge", executed.operation_ids[0], executed.records.size());
      for (size_t index = 0; index < executed.records.size(); ++index) {
        world_->history.Acknowledge(executed.operation_ids[index], executed.records[index].version);
      }
      world_->Tell(&Checker::OnAcknowledged, index_, executed);
      reply(absl::OkStatus());
    });
    if (replica_->has_outgoing()) {
      Later(kPumpDelayMax * rng_.Fraction(), [this] { Pump(); });
    }
  });
}

void NodeHost::Read(const std::string& key, std::function<void(const absl::Status&)> reply) {
  if (!is_up()) return;
  RunUnpaused(life_, [this, key, reply] {
    const auto result = replica_->Get(key, Now());
    if (!result.ok()) {
      Record("read fails", 0, 0, result.status().message());
      world_->failures.Report("P2 integrity", absl::StrCat("node ", index_, " cannot read ", key,
                                                           ": ", result.status().ToString()));
      return;
    }
    Record("read", result->version.hlc, result->found ? 1 : 0, key);
    world_->Tell(&Checker::OnRead, index_, key, *result);
    WhenDurable(result->lsn, [this, key, result = *result, reply] {
      world_->Tell(&Checker::OnReadReleased, index_, key, result);
      reply(absl::OkStatus());
    });
  });
}

void NodeHost::Glance() {
  if (is_up()) world_->Tell(&Checker::OnGlance, index_, *replica_);
}

void NodeHost::Later(absl::Duration delay, Action action) {
  world_->scheduler.After(
      delay, [this, life = life_, action = std::move(action)] { RunUnpaused(life, action); });
}

void NodeHost::RunUnpaused(uint64_t life, Action action) {
  if (life != life_) return;
  if (paused_until_ <= world_->scheduler.now()) {
    action();
    return;
  }
  world_->scheduler.At(paused_until_,
                       [this, life, action = std::move(action)] { RunUnpaused(life, action); });
}

void NodeHost::WhenDurable(storage::Lsn lsn, Action action) {
  if (lsn <= replica_->engine().durable_lsn()) {
    action();
    return;
  }
  waiting_.emplace(lsn, std::move(action));
  ScheduleFlush();
}

void NodeHost::ScheduleFlush() {
  if (flush_is_scheduled_) return;
  flush_is_scheduled_ = true;
  // In two halves, so that a crash may find bytes that were written and not synced.
  Later(flush_delay_max_ * rng_.Fraction(), [this] {
    const uint64_t life = life_;
    Flush(storage::Engine::FlushMode::kWrite);
    if (life != life_) return;
    Later(flush_delay_max_ * rng_.Fraction(), [this] {
      flush_is_scheduled_ = false;
      Flush(storage::Engine::FlushMode::kSync);
    });
  });
}

void NodeHost::Flush(storage::Engine::FlushMode mode) {
  const absl::StatusOr<storage::Lsn> durable = replica_->engine().Flush(mode);
  if (!durable.ok()) {
    Fail(durable.status());
    return;
  }
  Record("flush", *durable, mode == storage::Engine::FlushMode::kSync ? 1 : 0);
  const uint64_t life = life_;
  while (life == life_ && !waiting_.empty() && waiting_.begin()->first <= *durable) {
    auto node = waiting_.extract(waiting_.begin());
    node.mapped()();
  }
  if (life == life_ && !waiting_.empty() && mode == storage::Engine::FlushMode::kSync) {
    ScheduleFlush();
  }
}

void NodeHost::RunBackground() {
  const uint64_t life = life_;
  const bool is_behind = replica_->engine().durable_lsn() < replica_->engine().appended_lsn();
  switch (options_.storage.sync) {
    case storage::SyncPolicy::kAlways:
      if (is_behind) ScheduleFlush();
      break;
    case storage::SyncPolicy::kInterval:
      if (is_behind) Flush(storage::Engine::FlushMode::kSync);
      break;
    case storage::SyncPolicy::kNone:
      if (is_behind && rng_.OneIn(4)) Flush(storage::Engine::FlushMode::kWrite);
      break;
  }
  if (life != life_) return;
  absl::Status status;
  for (uint64_t steps = 1 + rng_.Below(kMaintenanceStepsMax); status.ok() && steps > 0; --steps) {
    status = replica_->engine().Maintain().status();
  }
  // What the device does not give now, it may give later.
  if (status.ok() && scrubs_ && rng_.OneIn(2)) Scrub().IgnoreError();
  if (!status.ok() || !replica_->engine().status().ok()) {
    Fail(status.ok() ? replica_->engine().status() : status);
    return;
  }
  Later(kBackgroundInterval * (0.5 + rng_.Fraction()), [this] { RunBackground(); });
}

absl::StatusOr<node::ScrubStep> NodeHost::Scrub() {
  absl::StatusOr<node::ScrubStep> step = replica_->Scrub();
  if (!step.ok()) return step;
  if (step->tree_difference_count != 0) {
    world_->failures.Report(
        "P5 tree", absl::StrCat("node ", index_, "'s tree has ", step->tree_difference_count,
                                " buckets that its entries do not give"));
  }
  if (step->store.finding.has_value()) {
    Record("scrub", step->store.finding->place_count, step->store.finding->key_count,
           step->store.finding->cause);
  }
  return step;
}

void NodeHost::ScrubAll() {
  if (!is_up()) return;
  // The pass under way may be past what matters.
  for (int pass = 0; pass < 2;) {
    const absl::StatusOr<node::ScrubStep> step = Scrub();
    if (!step.ok()) {
      world_->failures.Report(
          "P2 scrub", absl::StrCat("node ", index_, " cannot scrub: ", step.status().ToString()));
      return;
    }
    if (step->store.ended_pass) ++pass;
  }
}

void NodeHost::Fail(const absl::Status& status) {
  Record("engine fails", life_, 0, status.message());
  Crash(Death::kKill);
  Later(kRestartDelay, [this] { Start(); });
}

void NodeHost::Pump() {
  if (replica_->has_outgoing() || replica_->next_tick() <= Now()) {
    node::Outbox outbox;
    replica_->Tick(Now(), outbox);
    SendCalls(std::move(outbox));
  }
  const absl::Time next = replica_->next_tick();
  if (next == absl::InfiniteFuture()) return;
  const absl::Duration delay =
      std::max(clock_.TrueDuration(next - Now()), absl::Duration(absl::Microseconds(1)));
  Later(delay, [this, timer = ++timer_] {
    if (timer == timer_) Pump();
  });
}

void NodeHost::SendCalls(node::Outbox outbox) {
  for (node::PeerCall& call : outbox.calls) SendCall(std::move(call));
}

void NodeHost::SendCall(node::PeerCall call) {
  std::string bytes = node::EncodeRequest(call.request);
  const size_t kind = call.request.index();
  calls_[call.call_id] = {.kind = kind, .request_bytes = bytes.size()};
  Later(call.timeout, [this, call_id = call.call_id] {
    EndCall(call_id, absl::DeadlineExceededError("no answer"), 0);
  });
  WhenDurable(call.release_lsn, [this, call = std::move(call), kind, bytes = std::move(bytes)] {
    ForEachRecord(call.request, [this](const storage::Record& record) {
      world_->Tell(&Checker::OnRecordSent, index_, record);
    });
    Record("request", call.call_id, call.peer, absl::StrCat(kind, " ", base::Crc32c(bytes)));
    world_->network.Send(
        index_, call.peer, Duplicates::kPossible,
        [from = index_, to = hosts_[call.peer], life = life_, call_id = call.call_id, kind, bytes] {
          to->OnRequest(from, life, call_id, kind, bytes);
        });
  });
}

void NodeHost::OnRequest(size_t from, uint64_t life, node::CallId call_id, size_t kind,
                         const std::string& bytes) {
  if (!is_up()) {
    // Sometimes the machine is there to say so, sometimes it is not.
    if (rng_.OneIn(2)) SendResponse(from, life, call_id, absl::UnavailableError("refused"));
    return;
  }
  RunUnpaused(life_, [this, from, life, call_id, kind, bytes] {
    const auto request = node::DecodeRequest(kind, bytes);
    if (!request.ok()) {
      world_->failures.Report(
          "wire",
          absl::StrCat("node ", index_, " cannot decode a request: ", request.status().ToString()));
      return;
    }
    storage::Lsn lsn = 0;
    const auto response = replica_->Answer(*request, Now(), &lsn);
    if (!response.ok() && absl::IsInvalidArgument(response.status())) {
      world_->failures.Report(
          "protocol",
          absl::StrCat("node ", index_, " refuses a peer: ", response.status().ToString()));
    }
    WhenDurable(lsn, [this, from, life, call_id, response] {
      SendResponse(from, life, call_id, response);
    });
    if (replica_->has_outgoing()) {
      Later(kPumpDelayMax * rng_.Fraction(), [this] { Pump(); });
    }
  });
}

void NodeHost::SendResponse(size_t to, uint64_t life, node::CallId call_id,
                            const absl::StatusOr<node::PeerResponse>& response) {
  absl::StatusOr<std::string> bytes;
  if (!response.ok()) {
    bytes = response.status();
  } else {
    if (const auto* fetched = std::get_if<node::FetchRecordsResponse>(&*response)) {
      for (const storage::Record& record : fetched->records) {
        world_->Tell(&Checker::OnRecordSent, index_, record);
      }
    }
    bytes = node::EncodeResponse(*response);
  }
  Record("response", call_id, to, bytes.ok() ? absl::StrCat(base::Crc32c(*bytes)) : "error");
  world_->network.Send(
      index_, to, Duplicates::kPossible, [caller = hosts_[to], life, call_id, bytes] {
        caller->RunUnpaused(life, [caller, call_id, bytes] { caller->OnResponse(call_id, bytes); });
      });
}

void NodeHost::OnResponse(node::CallId call_id, const absl::StatusOr<std::string>& bytes) {
  const auto call = calls_.find(call_id);
  if (call == calls_.end()) return;
  if (!bytes.ok()) {
    EndCall(call_id, bytes.status(), 0);
    return;
  }
  absl::StatusOr<node::PeerResponse> response = node::DecodeResponse(call->second.kind, *bytes);
  if (!response.ok()) {
    world_->failures.Report(
        "wire",
        absl::StrCat("node ", index_, " cannot decode a response: ", response.status().ToString()));
    return;
  }
  EndCall(call_id, std::move(response), bytes->size());
}

void NodeHost::EndCall(node::CallId call_id, absl::StatusOr<node::PeerResponse> response,
                       size_t response_bytes) {
  const auto call = calls_.find(call_id);
  if (call == calls_.end()) return;
  const node::WireBytes bytes{.request = call->second.request_bytes, .response = response_bytes};
  calls_.erase(call);
  Record("reply", call_id, response.ok() ? 1 : 0);
  node::Outbox outbox;
  replica_->OnReply(call_id, std::move(response), bytes, Now(), outbox);
  SendCalls(std::move(outbox));
  Pump();
}

void NodeHost::Record(absl::string_view what, uint64_t a, uint64_t b, absl::string_view text) {
  world_->trace.Add({.what = what, .node = index_, .a = a, .b = b, .text = std::string(text)});
}

}  // namespace slipstream::sim
