// ReplicaCluster: some replicas in one thread, joined by function calls, on disks in memory.
//
// The least that makes replicas work together: time moves only when told, calls arrive at once and
// in order, everything is flushed before it leaves. For faults there are closed links, and the
// simulator (tests/sim).
#ifndef SLIPSTREAM_NODE_TESTING_REPLICA_CLUSTER_H_
#define SLIPSTREAM_NODE_TESTING_REPLICA_CLUSTER_H_

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "base/digest.h"
#include "base/random.h"
#include "node/replica.h"
#include "storage/entry.h"
#include "storage/memory_file_system.h"

namespace slipstream::node {

// Not thread-safe.
class ReplicaCluster {
 public:
  // Starts `replica_count` replicas, each with the endpoints "node0", "node1", ... of all.
  explicit ReplicaCluster(size_t replica_count, ReplicaOptions options = DefaultOptions());

  // With small segments, so that a disk in memory stays small.
  static ReplicaOptions DefaultOptions();

  Replica& at(size_t index) { return *nodes_[index].replica; }
  storage::MemoryFileSystem& disk(size_t index) { return *nodes_[index].disk; }
  absl::Time now() const { return now_; }

  // Ends a replica without a word, its disk intact; and opens it again.
  void Kill(size_t index);
  void Start(size_t index);
  // Whether calls from `from` reach `to`; the answers take the way of the call.
  void SetLink(size_t from, size_t to, bool up);
  void Isolate(size_t index, bool isolated);

  // Writes as a client does, all-or-none if there are several.
  storage::WriteResult Put(size_t index, absl::string_view key, absl::string_view value);
  storage::WriteResult Delete(size_t index, absl::string_view key);
  storage::WriteResult Write(size_t index, const std::vector<storage::Mutation>& mutations);
  // What a client reads; none if there is nothing.
  absl::optional<std::string> Get(size_t index, absl::string_view key);
  base::Digest Root(size_t index);
  bool Converged();

  // Does what is due now, and all that follows from it at this moment.
  void Step();
  // Lets `duration` pass in steps, from one due moment to the next.
  void Run(absl::Duration duration);

  // Replaces `to`'s answer if it returns one.
  using Interceptor = std::function<absl::optional<absl::StatusOr<PeerResponse>>(
      size_t from, size_t to, const PeerRequest& request)>;
  Interceptor interceptor;

  // Calls delivered up to now: {from, to, index of the request's alternative}.
  struct Delivery {
    size_t from = 0;
    size_t to = 0;
    size_t kind = 0;
  };
  std::vector<Delivery> deliveries;

  // What the transport is said to move. At first: the keys and values in a message, and
  // kMessageOverheadBytes.
  std::function<size_t(const PeerRequest&)> request_bytes;
  std::function<size_t(const PeerResponse&)> response_bytes;
  static constexpr size_t kMessageOverheadBytes = 1000;

 private:
  struct Node {
    std::unique_ptr<storage::MemoryFileSystem> disk;
    std::unique_ptr<base::Random> rng;
    std::unique_ptr<Replica> replica;
  };
  struct Sent {
    size_t from = 0;
    PeerCall call;
  };

  void Deliver(Sent sent);
  absl::StatusOr<PeerResponse> Answer(size_t from, size_t to, const PeerRequest& request);
  void Enqueue(size_t from, Outbox outbox);

  ReplicaOptions options_;
  absl::Time now_ = absl::FromUnixSeconds(1'700'000'000);
  std::vector<Node> nodes_;
  std::set<std::pair<size_t, size_t>> closed_;  // Links from, to.
  std::deque<Sent> under_way_;
};

}  // namespace slipstream::node

#endif  // SLIPSTREAM_NODE_TESTING_REPLICA_CLUSTER_H_
