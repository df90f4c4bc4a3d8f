#include "tests/sim/client.h"

#include <functional>
#include <set>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "tests/sim/value.h"

namespace slipstream::sim {
namespace {

constexpr size_t kBatchOperationsMax = 5;
// One request in so many goes elsewhere, and is of one of these kinds.
constexpr uint64_t kMovePeriod = 8;
constexpr uint64_t kReadPeriod = 3;
constexpr uint64_t kDeletePeriod = 4;
constexpr uint64_t kBatchPeriod = 6;
constexpr uint64_t kLargeValuePeriod = 40;
constexpr size_t kLargeValueBytes = 8000;

}  // namespace

Client::Client(Endpoint endpoint, const ClientConfig& config, std::vector<NodeHost*> hosts,
               World* world, base::Random rng)
    : endpoint_(endpoint),
      config_(config),
      hosts_(std::move(hosts)),
      world_(world),
      rng_(rng),
      node_(rng_.Below(hosts_.size())) {}

void Client::Continue() {
  if (is_stopped_) return;
  world_->scheduler.After(config_.pause_max * rng_.Fraction(), [this] {
    if (!is_stopped_) MakeRequest();
  });
}

void Client::MakeRequest() {
  if (rng_.OneIn(kMovePeriod)) node_ = rng_.Below(hosts_.size());
  const uint64_t request = ++request_;
  world_->scheduler.After(config_.timeout, [this, request] {
    if (request == request_) Continue();
  });
  if (rng_.OneIn(kReadPeriod)) {
    Read(node_);
  } else if (rng_.OneIn(kBatchPeriod)) {
    Write(node_, 2 + rng_.Below(kBatchOperationsMax - 1),
          rng_.OneIn(4) ? storage::Atomicity::kEach : storage::Atomicity::kAll);
  } else {
    Write(node_, 1, storage::Atomicity::kAll);
  }
}

void Client::Write(size_t node, size_t operation_count, storage::Atomicity atomicity) {
  ClientWrite write{.atomicity = atomicity};
  std::set<std::string> used;
  for (size_t index = 0; index < operation_count; ++index) {
    std::string key = RandomKey();
    // A batch may have a key once only.
    if (!used.insert(key).second && atomicity == storage::Atomicity::kAll) continue;
    const auto kind = rng_.OneIn(kDeletePeriod) ? storage::Mutation::Kind::kDelete
                                                : storage::Mutation::Kind::kPut;
    const uint64_t operation_id = world_->history.Begin(kind, key);
    const size_t noise_bytes = rng_.OneIn(kLargeValuePeriod)
                                   ? kLargeValueBytes
                                   : rng_.Below(config_.value_noise_bytes_max + 1);
    write.operation_ids.push_back(operation_id);
    write.kinds.push_back(kind);
    write.values.push_back(kind == storage::Mutation::Kind::kPut
                               ? MakeValue(operation_id, key, noise_bytes)
                               : std::string());
    write.keys.push_back(std::move(key));
  }
  // What clients send does not arrive twice: to try again is another operation.
  world_->network.Send(endpoint_, node, Duplicates::kNever,
                       [host = hosts_[node], write, reply = ReplyFrom(node, request_)] {
                         host->Write(write, reply);
                       });
}

void Client::Read(size_t node) {
  world_->network.Send(endpoint_, node, Duplicates::kNever,
                       [host = hosts_[node], key = RandomKey(), reply = ReplyFrom(node, request_)] {
                         host->Read(key, reply);
                       });
}

std::function<void(const absl::Status&)> Client::ReplyFrom(size_t node, uint64_t request) {
  return [this, node, request](const absl::Status&) {
    world_->network.Send(node, endpoint_, Duplicates::kNever,
                         [this, request] { OnReply(request); });
  };
}

void Client::OnReply(uint64_t request) {
  if (request != request_) return;  // It has given up on that one.
  ++request_;
  ++answered_count_;
  Continue();
}

std::string Client::RandomKey() { return absl::StrCat("key", rng_.Below(config_.key_count)); }

}  // namespace slipstream::sim
