// Reads that wait for the disk do not keep the threads that serve the network from serving.

#include <cstddef>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "grpcpp/support/sync_stream.h"
#include "gtest/gtest.h"
#include "node/testing/test_server.h"
#include "slipstream/v1/kv.pb.h"

namespace slipstream::node {
namespace {

using base::testing::IsOk;
using base::testing::StatusIs;

// More than gRPC has threads on a small machine, and no more than the server has readers.
constexpr size_t kReads = 16;

// Makes the reads of a disk wait until they are let go; must outlive them.
class HeldReads {
 public:
  explicit HeldReads(storage::MemoryFileSystem* disk) : disk_(disk) {
    disk_->set_read_hook([this] { Wait(); });
  }
  ~HeldReads() { disk_->set_read_hook(nullptr); }

  // Waits until `count` reads wait; returns whether they came to.
  bool AwaitWaiting(size_t count) {
    absl::MutexLock lock(&mutex_);
    const auto enough = [this, count]()
                            ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return waiting_count_ >= count; };
    return mutex_.AwaitWithTimeout(absl::Condition(&enough), kTestTimeout);
  }

  void LetGo() {
    absl::MutexLock lock(&mutex_);
    held_ = false;
  }

 private:
  void Wait() {
    absl::MutexLock lock(&mutex_);
    ++waiting_count_;
    const auto let_go = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return !held_; };
    mutex_.Await(absl::Condition(&let_go));
  }

  storage::MemoryFileSystem* const disk_;
  absl::Mutex mutex_;
  bool held_ ABSL_GUARDED_BY(mutex_) = true;
  size_t waiting_count_ ABSL_GUARDED_BY(mutex_) = 0;
};

ServerOptions WithoutValueCache() {
  ServerOptions options = TestServer::DefaultOptions();
  options.replica.storage.value_cache_bytes = 0;
  // Its searches for damage read, too.
  options.maintenance.scrub_bytes_per_second = 0;
  return options;
}

class ServerReadsTest : public ::testing::Test {
 protected:
  ServerReadsTest() {
    for (size_t i = 0; i < kReads; ++i) EXPECT_OK(server_.Put(KeyOf(i), ValueOf(i)));
  }

  static std::string KeyOf(size_t i) { return absl::StrCat("key", i); }
  static std::string ValueOf(size_t i) { return absl::StrCat("value", i); }

  TestServer server_{WithoutValueCache()};
};

TEST_F(ServerReadsTest, UnaryGets) {
  std::vector<std::string> values(kReads);
  HeldReads reads(&server_.disk());
  std::vector<std::thread> clients;
  for (size_t i = 0; i < kReads; ++i) {
    clients.emplace_back([this, &values, i] {
      const absl::StatusOr<v1::GetResponse> response = server_.Get(KeyOf(i));
      if (response.ok()) values[i] = response->value();
    });
  }
  EXPECT_TRUE(reads.AwaitWaiting(kReads));
  EXPECT_OK(server_.Put("other", "v"));
  EXPECT_THAT(server_.Get("absent"), StatusIs(absl::StatusCode::kNotFound));
  reads.LetGo();
  for (std::thread& client : clients) client.join();
  for (size_t i = 0; i < kReads; ++i) EXPECT_EQ(values[i], ValueOf(i));
}

TEST_F(ServerReadsTest, PipelinedGets) {
  std::vector<std::string> values(kReads);
  HeldReads reads(&server_.disk());
  std::vector<std::thread> clients;
  for (size_t i = 0; i < kReads; ++i) {
    clients.emplace_back([this, &values, i] {
      grpc::ClientContext context;
      SetTestDeadline(context);
      const auto stream = server_.kv().Pipeline(&context);
      v1::PipelineRequest group;
      *group.add_operations() = PutOperation("before", "v");
      *group.add_operations() = GetOperation(KeyOf(i));
      *group.add_operations() = PutOperation("after", "v");
      EXPECT_TRUE(stream->Write(group));
      v1::PipelineResponse response;
      ASSERT_TRUE(stream->Read(&response));
      ASSERT_EQ(response.results_size(), 3);
      EXPECT_EQ(response.results(0).code(), 0);
      EXPECT_EQ(response.results(2).code(), 0);
      values[i] = response.results(1).value();
      stream->WritesDone();
      EXPECT_TRUE(stream->Finish().ok());
    });
  }
  EXPECT_TRUE(reads.AwaitWaiting(kReads));
  EXPECT_OK(server_.Put("other", "v"));
  reads.LetGo();
  for (std::thread& client : clients) client.join();
  for (size_t i = 0; i < kReads; ++i) EXPECT_EQ(values[i], ValueOf(i));
}

TEST_F(ServerReadsTest, StepsOfTransactions) {
  std::vector<std::string> values(kReads);
  HeldReads reads(&server_.disk());
  std::vector<std::thread> clients;
  for (size_t i = 0; i < kReads; ++i) {
    clients.emplace_back([this, &values, i] {
      grpc::ClientContext context;
      SetTestDeadline(context);
      const auto stream = server_.kv().Transaction(&context);
      v1::TransactionRequest begin;
      begin.mutable_begin();
      v1::TransactionRequest get;
      *get.mutable_operation() = GetOperation(KeyOf(i));
      v1::TransactionResponse response;
      EXPECT_TRUE(stream->Write(begin) && stream->Read(&response));
      EXPECT_TRUE(stream->Write(get) && stream->Read(&response));
      values[i] = response.value();
      v1::TransactionRequest rollback;
      rollback.mutable_rollback();
      EXPECT_TRUE(stream->Write(rollback) && stream->Read(&response));
      EXPECT_TRUE(stream->Finish().ok());
    });
  }
  EXPECT_TRUE(reads.AwaitWaiting(kReads));
  EXPECT_OK(server_.Put("other", "v"));
  reads.LetGo();
  for (std::thread& client : clients) client.join();
  for (size_t i = 0; i < kReads; ++i) EXPECT_EQ(values[i], ValueOf(i));
}

}  // namespace
}  // namespace slipstream::node
