#include "node/protocol_loop.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "base/random.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "node/commit_queue.h"
#include "node/peer_messages.h"
#include "node/replica.h"
#include "storage/memory_file_system.h"

namespace slipstream::node {
namespace {

using storage::MemoryFileSystem;

constexpr absl::Duration kTimeout = absl::Seconds(60);

// A network on which every call is unanswered until the test says otherwise.
class FakeTransport : public PeerTransport {
 public:
  ~FakeTransport() override { ReplyToAll(absl::UnavailableError("the end")); }

  void Call(PeerIndex, PeerRequest request, absl::Duration, Reply reply) override {
    absl::MutexLock lock(&mutex_);
    kinds_.push_back(request.index());
    replies_.push_back(std::move(reply));
  }

  // Waits until `count` calls of the alternative `Request` were made.
  template <typename Request>
  bool AwaitCalls(size_t count) {
    const auto enough = [this, count]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
      return CountLocked(PeerRequest(Request()).index()) >= count;
    };
    absl::MutexLock lock(&mutex_);
    return mutex_.AwaitWithTimeout(absl::Condition(&enough), kTimeout);
  }
  template <typename Request>
  size_t CountCalls() {
    absl::MutexLock lock(&mutex_);
    return CountLocked(PeerRequest(Request()).index());
  }

  void ReplyToAll(const absl::StatusOr<PeerResponse>& response) {
    std::vector<Reply> replies;
    {
      absl::MutexLock lock(&mutex_);
      replies.swap(replies_);
    }
    for (Reply& reply : replies) reply(response, WireBytes());
  }

 private:
  size_t CountLocked(size_t kind) const ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return std::count(kinds_.begin(), kinds_.end(), kind);
  }

  absl::Mutex mutex_;
  std::vector<size_t> kinds_ ABSL_GUARDED_BY(mutex_);
  std::vector<Reply> replies_ ABSL_GUARDED_BY(mutex_);
};

class ProtocolLoopTest : public ::testing::Test {
 protected:
  ProtocolLoopTest() {
    ReplicaOptions options;
    options.name = "self";
    options.peers = {"peer"};
    options.gossip_interval = absl::Milliseconds(5);
    options.storage.segment_bytes = 8 << 20;
    absl::StatusOr<std::unique_ptr<Replica>> replica =
        Replica::Open(&disk_, "/data", options, &rng_);
    SLIP_CHECK_OK(replica.status());
    replica_ = *std::move(replica);
    commits_ = std::make_unique<CommitQueue>(&replica_->engine(), CommitOptions(),
                                             [this](const absl::Status&) { failed_.Notify(); });
  }
  ~ProtocolLoopTest() override {
    if (loop_ != nullptr) loop_->Stop();
    commits_->Stop();
    transport_.ReplyToAll(absl::UnavailableError("the end"));
  }

  void StartLoop() {
    loop_ = std::make_unique<ProtocolLoop>(replica_.get(), commits_.get(), &transport_);
  }

  // The peer tells its root: from now on it is reachable, and writes are pushed to it.
  void MakePeerReachable() {
    ASSERT_TRUE(transport_.AwaitCalls<ExchangeRootsRequest>(1));
    const size_t exchanges = transport_.CountCalls<ExchangeRootsRequest>();
    NodeSummary peer{.node_id = 99, .actor = base::ActorId{99}, .name = "peer"};
    transport_.ReplyToAll(PeerResponse(ExchangeRootsResponse{.responder = peer}));
    // The next exchange comes after the reply was taken.
    ASSERT_TRUE(transport_.AwaitCalls<ExchangeRootsRequest>(exchanges + 1));
  }

  void Put(const std::string& key) {
    const storage::Mutation mutation{.key = key, .value = "value"};
    ASSERT_OK(replica_->Write({&mutation, 1}, storage::Atomicity::kEach, WallNow()));
    if (replica_->has_outgoing()) loop_->Wake();
  }

  MemoryFileSystem disk_;
  base::Random rng_{1};
  std::unique_ptr<Replica> replica_;
  absl::Notification failed_;
  std::unique_ptr<CommitQueue> commits_;
  FakeTransport transport_;
  std::unique_ptr<ProtocolLoop> loop_;
};

TEST_F(ProtocolLoopTest, ExchangesRootsWithoutBeingAsked) {
  StartLoop();
  EXPECT_TRUE(transport_.AwaitCalls<ExchangeRootsRequest>(1));
}

TEST_F(ProtocolLoopTest, GoesOnAfterAPeerDidNotAnswer) {
  StartLoop();
  for (size_t count = 1; count <= 3; ++count) {
    EXPECT_TRUE(transport_.AwaitCalls<ExchangeRootsRequest>(count));
    transport_.ReplyToAll(absl::UnavailableError("no"));
  }
}

TEST_F(ProtocolLoopTest, PushesAWriteWhenItIsWoken) {
  StartLoop();
  MakePeerReachable();
  Put("key");
  EXPECT_TRUE(transport_.AwaitCalls<PushRecordsRequest>(1));
  EXPECT_GE(replica_->engine().durable_lsn(), 1u);
}

TEST_F(ProtocolLoopTest, SendsNothingOfAWriteThatIsNotDurable) {
  StartLoop();
  MakePeerReachable();
  Put("durable");
  ASSERT_TRUE(transport_.AwaitCalls<PushRecordsRequest>(1));
  disk_.InjectFault({.operation = MemoryFileSystem::Operation::kSyncData, .lasting = true});
  Put("lost");
  ASSERT_TRUE(failed_.WaitForNotificationWithTimeout(kTimeout));
  loop_->Stop();
  commits_->Stop();
  EXPECT_EQ(transport_.CountCalls<PushRecordsRequest>(), 1u);
}

TEST_F(ProtocolLoopTest, DropsRepliesThatComeAfterItsEnd) {
  StartLoop();
  ASSERT_TRUE(transport_.AwaitCalls<ExchangeRootsRequest>(1));
  loop_->Stop();
  transport_.ReplyToAll(absl::UnavailableError("too late"));
  loop_->Wake();
}

}  // namespace
}  // namespace slipstream::node
