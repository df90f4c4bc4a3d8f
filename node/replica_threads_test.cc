// The thread-safe half of a replica under threads; what it is worth shows under --config=tsan.
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/random.h"
#include "base/testing/status_matchers.h"
#include "gtest/gtest.h"
#include "node/replica.h"
#include "node/testing/replica_cluster.h"
#include "storage/engine.h"
#include "storage/entry.h"
#include "storage/memory_file_system.h"

namespace slipstream::node {
namespace {

constexpr int kThreads = 4;
constexpr int kOperations = 300;

// Two replicas joined by calls that their owners' threads make, while others write and read.
class ReplicaThreadsTest : public testing::Test {
 protected:
  void SetUp() override {
    for (size_t index = 0; index < 2; ++index) {
      ReplicaOptions options = ReplicaCluster::DefaultOptions();
      options.peers = {"node0", "node1"};
      options.gossip_interval = absl::Milliseconds(20);
      auto replica = Replica::Open(&disks_[index], "data", options, &rngs_[index]);
      ASSERT_OK(replica);
      replicas_[index] = *std::move(replica);
    }
  }

  // Does what the owner of `index`'s protocol path does, until told to stop. Time goes on a
  // millisecond a round.
  void RunProtocol(size_t index) {
    Replica& replica = *replicas_[index];
    while (!stop_.load()) {
      const absl::Time now = start_ + absl::Milliseconds(clock_.fetch_add(1));
      Outbox outbox;
      replica.Tick(now, outbox);
      while (!outbox.calls.empty()) {
        Outbox next;
        for (PeerCall& call : outbox.calls) {
          EXPECT_OK(replica.engine().Flush(storage::Engine::FlushMode::kSync));
          storage::Lsn lsn = 0;
          auto response = replicas_[call.peer]->Answer(call.request, now, &lsn);
          EXPECT_OK(replicas_[call.peer]->engine().Flush(storage::Engine::FlushMode::kSync));
          replica.OnReply(call.call_id, std::move(response), WireBytes{}, now, next);
        }
        outbox = std::move(next);
      }
    }
  }

  void RunClient(size_t thread) {
    Replica& replica = *replicas_[thread % 2];
    for (int i = 0; i < kOperations; ++i) {
      const absl::Time now = start_ + absl::Milliseconds(clock_.load());
      const std::string key = absl::StrCat("key", i % 50);
      const std::string other = absl::StrCat("only", thread, "-", i);
      const auto kind =
          i % 5 == 0 ? storage::Mutation::Kind::kDelete : storage::Mutation::Kind::kPut;
      EXPECT_OK(replica.Write({{.kind = kind, .key = key}, {.key = other, .value = "value"}},
                              storage::Atomicity::kAll, now));
      EXPECT_OK(replica.Get(key, now));
      if (i % 20 == 0) {
        EXPECT_OK(replica.Scan({.items_max = 20}, now));
        storage::Lsn lsn = 0;
        replica.Summary(&lsn);
        replica.members();
        replica.repair_stats();
        replica.push_stats();
      }
    }
  }

  const absl::Time start_ = absl::FromUnixSeconds(1'700'000'000);
  std::atomic<int64_t> clock_ = 0;
  std::atomic<bool> stop_ = false;
  storage::MemoryFileSystem disks_[2];
  base::Random rngs_[2] = {base::Random(1), base::Random(2)};
  std::unique_ptr<Replica> replicas_[2];
};

TEST_F(ReplicaThreadsTest, ConvergesUnderConcurrentUse) {
  std::vector<std::thread> owners;
  for (size_t index = 0; index < 2; ++index) {
    owners.emplace_back([this, index] { RunProtocol(index); });
  }
  std::vector<std::thread> clients;
  for (size_t thread = 0; thread < kThreads; ++thread) {
    clients.emplace_back([this, thread] { RunClient(thread); });
  }
  for (std::thread& client : clients) client.join();
  // A thousand rounds are some fifty exchanges.
  const int64_t end = clock_.load() + 100'000;
  while (replicas_[0]->tree().Root() != replicas_[1]->tree().Root() && clock_.load() < end) {
    std::this_thread::yield();
  }
  stop_.store(true);
  for (std::thread& owner : owners) owner.join();
  EXPECT_EQ(replicas_[0]->tree().Root(), replicas_[1]->tree().Root());
  storage::Lsn lsn = 0;
  EXPECT_GE(replicas_[0]->Summary(&lsn).key_count, kThreads * kOperations);
}

}  // namespace
}  // namespace slipstream::node
