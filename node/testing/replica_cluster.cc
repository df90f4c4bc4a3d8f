#include "node/testing/replica_cluster.h"

#include <algorithm>
#include <variant>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "storage/engine.h"

namespace slipstream::node {
namespace {

constexpr char kDirectory[] = "data";

size_t PayloadBytes(const std::vector<storage::Record>& records) {
  size_t bytes = 0;
  for (const storage::Record& record : records) bytes += record.key.size() + record.value.size();
  return bytes;
}

size_t RequestBytes(const PeerRequest& request) {
  size_t bytes = ReplicaCluster::kMessageOverheadBytes;
  if (const auto* push = std::get_if<PushRecordsRequest>(&request)) {
    for (const auto& group : push->groups) bytes += PayloadBytes(group);
  }
  return bytes;
}

size_t ResponseBytes(const PeerResponse& response) {
  size_t bytes = ReplicaCluster::kMessageOverheadBytes;
  if (const auto* fetched = std::get_if<FetchRecordsResponse>(&response)) {
    bytes += PayloadBytes(fetched->records);
  }
  return bytes;
}

}  // namespace

ReplicaCluster::ReplicaCluster(size_t replica_count, ReplicaOptions options)
    : request_bytes(RequestBytes), response_bytes(ResponseBytes), options_(std::move(options)) {
  for (size_t index = 0; index < replica_count; ++index) {
    options_.peers.push_back(absl::StrCat("node", index));
  }
  for (size_t index = 0; index < replica_count; ++index) {
    nodes_.push_back({.disk = std::make_unique<storage::MemoryFileSystem>(),
                      .rng = std::make_unique<base::Random>(index + 1)});
    Start(index);
  }
}

ReplicaOptions ReplicaCluster::DefaultOptions() {
  ReplicaOptions options;
  options.storage.limits.value_bytes_max = 256 << 10;
  options.storage.limits.batch_bytes_max = 512 << 10;
  options.storage.segment_bytes = 2 << 20;
  options.storage.frame_bytes_target = 64 << 10;
  options.storage.unflushed_bytes_max = 1 << 20;
  return options;
}

void ReplicaCluster::Kill(size_t index) {
  nodes_[index].replica.reset();
  nodes_[index].disk->Kill();
}

void ReplicaCluster::Start(size_t index) {
  Node& node = nodes_[index];
  ReplicaOptions options = options_;
  options.name = absl::StrCat("name", index);
  auto replica = Replica::Open(node.disk.get(), kDirectory, options, node.rng.get());
  SLIP_CHECK_OK(replica.status());
  node.replica = *std::move(replica);
}

void ReplicaCluster::SetLink(size_t from, size_t to, bool up) {
  if (up) {
    closed_.erase({from, to});
  } else {
    closed_.insert({from, to});
  }
}

void ReplicaCluster::Isolate(size_t index, bool isolated) {
  for (size_t other = 0; other < nodes_.size(); ++other) {
    if (other == index) continue;
    SetLink(index, other, !isolated);
    SetLink(other, index, !isolated);
  }
}

storage::WriteResult ReplicaCluster::Put(size_t index, absl::string_view key,
                                         absl::string_view value) {
  return Write(index, {{.kind = storage::Mutation::Kind::kPut, .key = key, .value = value}});
}

storage::WriteResult ReplicaCluster::Delete(size_t index, absl::string_view key) {
  return Write(index, {{.kind = storage::Mutation::Kind::kDelete, .key = key}});
}

storage::WriteResult ReplicaCluster::Write(size_t index,
                                           const std::vector<storage::Mutation>& mutations) {
  auto result = at(index).Write(mutations, storage::Atomicity::kAll, now_);
  SLIP_CHECK_OK(result.status());
  return *std::move(result);
}

absl::optional<std::string> ReplicaCluster::Get(size_t index, absl::string_view key) {
  auto result = at(index).Get(key, now_);
  SLIP_CHECK_OK(result.status());
  if (!result->found) return absl::nullopt;
  return std::move(result->value);
}

base::Digest ReplicaCluster::Root(size_t index) { return at(index).tree().Root(); }

bool ReplicaCluster::Converged() {
  for (size_t index = 1; index < nodes_.size(); ++index) {
    if (Root(index) != Root(0)) return false;
  }
  return true;
}

void ReplicaCluster::Step() {
  bool has_more = true;
  while (has_more) {
    has_more = false;
    for (size_t index = 0; index < nodes_.size(); ++index) {
      if (nodes_[index].replica == nullptr) continue;
      if (!at(index).has_outgoing() && at(index).next_tick() > now_) continue;
      Outbox outbox;
      at(index).Tick(now_, outbox);
      Enqueue(index, std::move(outbox));
      has_more = true;
    }
    while (!under_way_.empty()) {
      Sent sent = std::move(under_way_.front());
      under_way_.pop_front();
      Deliver(std::move(sent));
      has_more = true;
    }
  }
}

void ReplicaCluster::Run(absl::Duration duration) {
  const absl::Time end = now_ + duration;
  Step();
  while (true) {
    absl::Time next = end;
    for (const Node& node : nodes_) {
      if (node.replica != nullptr) next = std::min(next, node.replica->next_tick());
    }
    if (next >= end) break;
    now_ = next;
    Step();
  }
  now_ = end;
}

void ReplicaCluster::Deliver(Sent sent) {
  const size_t from = sent.from;
  if (nodes_[from].replica == nullptr) return;
  deliveries.push_back({.from = from, .to = sent.call.peer, .kind = sent.call.request.index()});
  SLIP_CHECK_OK(at(from).engine().Flush(storage::Engine::FlushMode::kSync).status());
  const absl::StatusOr<PeerResponse> response = Answer(from, sent.call.peer, sent.call.request);
  const WireBytes bytes{.request = request_bytes(sent.call.request),
                        .response = response.ok() ? response_bytes(*response) : 0};
  Outbox outbox;
  at(from).OnReply(sent.call.call_id, response, bytes, now_, outbox);
  Enqueue(from, std::move(outbox));
}

absl::StatusOr<PeerResponse> ReplicaCluster::Answer(size_t from, size_t to,
                                                    const PeerRequest& request) {
  if (nodes_[to].replica == nullptr || closed_.count({from, to}) > 0) {
    return absl::UnavailableError("no connection");
  }
  if (interceptor) {
    absl::optional<absl::StatusOr<PeerResponse>> answer = interceptor(from, to, request);
    if (answer.has_value()) return *std::move(answer);
  }
  storage::Lsn lsn = 0;
  absl::StatusOr<PeerResponse> response = at(to).Answer(request, now_, &lsn);
  SLIP_CHECK_OK(at(to).engine().Flush(storage::Engine::FlushMode::kSync).status());
  SLIP_CHECK(lsn <= at(to).engine().durable_lsn());
  return response;
}

void ReplicaCluster::Enqueue(size_t from, Outbox outbox) {
  for (PeerCall& call : outbox.calls) {
    under_way_.push_back({.from = from, .call = std::move(call)});
  }
}

}  // namespace slipstream::node
