// Reads that wait for the disk do not keep the threads that serve the network from serving.

#include <cstddef>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
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

  // Has `get` read each key on a client of its own, and expects the server to answer others while
  // all of them wait for the disk.
  void ExpectOthersAreServedBeside(absl::FunctionRef<std::string(const std::string& key)> get) {
    std::vector<std::string> values(kReads);
    HeldReads reads(&server_.disk());
    std::vector<std::thread> clients;
    for (size_t i = 0; i < kReads; ++i) {
      clients.emplace_back([&values, &get, i] { values[i] = get(KeyOf(i)); });
    }
    EXPECT_TRUE(reads.AwaitWaiting(kReads));
    EXPECT_OK(server_.Put("other", "v"));
    EXPECT_THAT(server_.Get("absent"), StatusIs(absl::StatusCode::kNotFound));
    reads.LetGo();
    for (std::thread& client : clients) client.join();
    for (size_t i = 0; i < kReads; ++i) EXPECT_EQ(values[i], ValueOf(i));
  }

  TestServer server_{WithoutValueCache()};
};

TEST_F(ServerReadsTest, UnaryGets) {
  ExpectOthersAreServedBeside([this](const std::string& key) {
    const absl::StatusOr<v1::GetResponse> response = server_.Get(key);
    return response.ok() ? response->value() : response.status().ToString();
  });
}

TEST_F(ServerReadsTest, PipelinedGets) {
  ExpectOthersAreServedBeside([this](const std::string& key) {
    grpc::ClientContext context;
    SetTestDeadline(context);
    const auto stream = server_.kv().Pipeline(&context);
    v1::PipelineRequest group;
    *group.add_operations() = PutOperation("before", "v");
    *group.add_operations() = GetOperation(key);
    *group.add_operations() = PutOperation("after", "v");
    v1::PipelineResponse response;
    EXPECT_TRUE(stream->Write(group) && stream->Read(&response));
    EXPECT_EQ(response.results_size(), 3);
    if (response.results_size() != 3) return std::string("no answer");
    EXPECT_EQ(response.results(0).code(), 0);
    EXPECT_EQ(response.results(2).code(), 0);
    stream->WritesDone();
    EXPECT_TRUE(stream->Finish().ok());
    return response.results(1).value();
  });
}

TEST_F(ServerReadsTest, StepsOfTransactions) {
  ExpectOthersAreServedBeside([this](const std::string& key) {
    grpc::ClientContext context;
    SetTestDeadline(context);
    const auto stream = server_.kv().Transaction(&context);
    v1::TransactionRequest begin;
    begin.mutable_begin();
    v1::TransactionRequest get;
    *get.mutable_operation() = GetOperation(key);
    v1::TransactionRequest rollback;
    rollback.mutable_rollback();
    v1::TransactionResponse response;
    EXPECT_TRUE(stream->Write(begin) && stream->Read(&response));
    EXPECT_TRUE(stream->Write(get) && stream->Read(&response));
    std::string value = response.value();
    EXPECT_TRUE(stream->Write(rollback) && stream->Read(&response));
    EXPECT_TRUE(stream->Finish().ok());
    return value;
  });
}

TEST_F(ServerReadsTest, MultiGets) {
  ExpectOthersAreServedBeside([this](const std::string& key) {
    const absl::StatusOr<v1::MultiGetResponse> response = server_.MultiGet({key});
    return response.ok() ? response->items(0).value() : response.status().ToString();
  });
}

}  // namespace
}  // namespace slipstream::node
