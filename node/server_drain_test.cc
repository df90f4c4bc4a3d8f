// How a server ends: drained, with calls under way, with a failed disk; and what is there
// afterwards.

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "base/error_reason.h"
#include "base/key_id.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "grpcpp/support/sync_stream.h"
#include "gtest/gtest.h"
#include "node/server.h"
#include "node/testing/test_server.h"
#include "node/wire.h"
#include "slipstream/v1/admin.pb.h"
#include "slipstream/v1/kv.pb.h"
#include "storage/memory_file_system.h"

namespace slipstream::node {
namespace {

using base::testing::StatusIs;
using storage::MemoryFileSystem;

TEST(ServerDrainTest, WhatWasAcknowledgedIsThereInTheNextLife) {
  MemoryFileSystem disk;
  for (const auto sync :
       {storage::SyncPolicy::kAlways, storage::SyncPolicy::kInterval, storage::SyncPolicy::kNone}) {
    ServerOptions options = TestServer::DefaultOptions();
    options.replica.storage.sync = sync;
    options.sync_interval = absl::Hours(1);
    const std::string key = absl::StrCat("key", static_cast<int>(sync));
    {
      TestServer server(options, &disk);
      ASSERT_OK(server.Put(key, "value"));
      EXPECT_OK(server.server().Drain());
    }
    // The power is lost: what was not synced is gone.
    disk.CrashKeeping([](size_t) { return false; });
    TestServer server(options, &disk);
    EXPECT_OK(server.Get(key)) << key;
    EXPECT_TRUE(server.server().replica().engine().recovery_report().clean);
  }
}

TEST(ServerDrainTest, IntervalSyncsWithoutBeingAsked) {
  MemoryFileSystem disk;
  ServerOptions options = TestServer::DefaultOptions();
  options.replica.storage.sync = storage::SyncPolicy::kInterval;
  options.sync_interval = absl::Milliseconds(5);
  TestServer server(options, &disk);
  ASSERT_OK(server.Put("key", "value"));
  const storage::Engine& engine = server.server().replica().engine();
  const absl::Time deadline = absl::Now() + kTestTimeout;
  // A call is answered in far less than the timeout, and each gives the flusher time.
  while (engine.durable_lsn() < 1 && absl::Now() < deadline) EXPECT_OK(server.Get("key"));
  EXPECT_EQ(engine.durable_lsn(), 1u);
}

TEST(ServerDrainTest, IdlePipelineEndsAtOnce) {
  ServerOptions options = TestServer::DefaultOptions();
  options.drain_timeout = kTestTimeout;
  TestServer server(options);
  grpc::ClientContext context;
  SetTestDeadline(context);
  const auto stream = server.kv().Pipeline(&context);
  v1::PipelineRequest group;
  *group.add_operations() = PutOperation("key", "value");
  ASSERT_TRUE(stream->Write(group));
  v1::PipelineResponse response;
  ASSERT_TRUE(stream->Read(&response));
  const absl::Time before = absl::Now();
  EXPECT_OK(server.server().Drain());
  EXPECT_LT(absl::Now() - before, options.drain_timeout / 2);
  EXPECT_FALSE(stream->Read(&response));
  const absl::Status status = FromGrpcStatus(stream->Finish(), context);
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_EQ(base::ReasonOf(status), base::kReasonDraining);
}

TEST(ServerDrainTest, IdleConnectionsDoNotHoldItUp) {
  ServerOptions options = TestServer::DefaultOptions();
  options.drain_timeout = kTestTimeout;
  TestServer server(options);
  // A connection whose client does not look at it: it says nothing, not even as HTTP/2.
  const int socket_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const absl::Cleanup close_socket = [socket_fd] { close(socket_fd); };
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(server.server().endpoint().port);
  ASSERT_EQ(connect(socket_fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  ASSERT_OK(server.Put("key", "value"));
  const absl::Time before = absl::Now();
  EXPECT_OK(server.server().Drain());
  EXPECT_LT(absl::Now() - before, options.drain_timeout / 2);
}

TEST(ServerDrainTest, CallsUnderWayAreCancelledAfterTheTimeout) {
  ServerOptions options = TestServer::DefaultOptions();
  options.drain_timeout = absl::Milliseconds(50);
  TestServer server(options);
  for (int i = 0; i < 40; ++i) {
    ASSERT_OK(server.Put(absl::StrCat(i), std::string(512 << 10, 'v')));
  }
  grpc::ClientContext context;
  SetTestDeadline(context);
  // A client that reads one answer of many and then nothing.
  const auto reader = server.kv().Scan(&context, {});
  v1::ScanResponse page;
  ASSERT_TRUE(reader->Read(&page));
  EXPECT_OK(server.server().Drain());
  while (reader->Read(&page)) {
  }
  EXPECT_FALSE(reader->Finish().ok());
}

// Calls from several threads until the server is gone; what was acknowledged must have survived.
TEST(ServerDrainTest, LosesNothingThatItAcknowledgedUnderLoad) {
  MemoryFileSystem disk;
  constexpr int kThreads = 4;
  std::vector<std::vector<std::string>> acknowledged(kThreads);
  {
    TestServer server(TestServer::DefaultOptions(), &disk);
    std::atomic<int> acknowledged_count = 0;
    std::vector<std::thread> threads;
    for (int thread = 0; thread < kThreads; ++thread) {
      threads.emplace_back([&, thread] {
        for (int i = 0;; ++i) {
          const std::string key = absl::StrCat(thread, "/", i);
          if (!server.Put(key, "value").ok()) return;
          acknowledged[thread].push_back(key);
          acknowledged_count.fetch_add(1);
        }
      });
    }
    const absl::Time deadline = absl::Now() + kTestTimeout;
    while (acknowledged_count.load() < 100 && absl::Now() < deadline) std::this_thread::yield();
    EXPECT_OK(server.server().Drain());
    for (std::thread& thread : threads) thread.join();
  }
  disk.CrashKeeping([](size_t) { return false; });
  TestServer server(TestServer::DefaultOptions(), &disk);
  for (const std::vector<std::string>& keys : acknowledged) {
    EXPECT_FALSE(keys.empty());
    for (const std::string& key : keys) ASSERT_OK(server.Get(key));
  }
}

TEST(ServerDrainTest, ServerIsDestroyedSafelyWithCallsInFlight) {
  auto server = std::make_unique<TestServer>();
  const auto channel = server->channel();
  const auto stub = v1::KvService::NewStub(channel);
  std::atomic<int> answered = 0;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&] {
      grpc::Status status;
      do {
        grpc::ClientContext context;
        SetTestDeadline(context);
        const auto stream = stub->Pipeline(&context);
        v1::PipelineRequest group;
        *group.add_operations() = PutOperation("key", "value");
        v1::PipelineResponse response;
        for (int i = 0; i < 10 && stream->Write(group) && stream->Read(&response); ++i) {
          answered.fetch_add(1);
        }
        stream->WritesDone();
        while (stream->Read(&response)) {
        }
        status = stream->Finish();
      } while (status.ok());
    });
  }
  const absl::Time deadline = absl::Now() + kTestTimeout;
  while (answered.load() < 100 && absl::Now() < deadline) std::this_thread::yield();
  server.reset();
  for (std::thread& thread : threads) thread.join();
}

// So that the disk's failure meets a write, not a step of maintenance.
ServerOptions WithoutMaintenance() {
  ServerOptions options = TestServer::DefaultOptions();
  options.maintenance.period = absl::Hours(1);
  return options;
}

TEST(ServerDrainTest, FailedSyncEndsWaitingCallsAndIsReported) {
  TestServer server(WithoutMaintenance());
  ASSERT_OK(server.Put("before", "value"));
  server.disk().InjectFault({.operation = MemoryFileSystem::Operation::kSyncData, .lasting = true});
  const absl::Status status = server.Put("key", "value").status();
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_EQ(base::ReasonOf(status), base::kReasonEngineFailed);
  EXPECT_TRUE(server.failed().WaitForNotificationWithTimeout(kTestTimeout));
  EXPECT_EQ(base::ReasonOf(server.Put("later", "value").status()), base::kReasonEngineFailed);
}

TEST(ServerDrainTest, FailedSyncEndsPipelines) {
  TestServer server(WithoutMaintenance());
  ASSERT_OK(server.Put("before", "value"));
  grpc::ClientContext context;
  SetTestDeadline(context);
  const auto stream = server.kv().Pipeline(&context);
  server.disk().InjectFault({.operation = MemoryFileSystem::Operation::kSyncData, .lasting = true});
  v1::PipelineRequest group;
  *group.add_operations() = PutOperation("key", "value");
  ASSERT_TRUE(stream->Write(group));
  v1::PipelineResponse response;
  EXPECT_FALSE(stream->Read(&response));
  const absl::Status status = FromGrpcStatus(stream->Finish(), context);
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_EQ(base::ReasonOf(status), base::kReasonEngineFailed);
}

// A write that may be lost in a crash has been applied in memory; nobody may learn of it.
TEST(ServerDrainTest, NothingIsToldOfAWriteThatIsNotDurable) {
  TestServer server(WithoutMaintenance());
  ASSERT_OK(server.Put("key", "durable"));
  server.disk().InjectFault({.operation = MemoryFileSystem::Operation::kSyncData, .lasting = true});
  EXPECT_FALSE(server.Put("key", "lost").ok());
  v1::ProveRequest prove;
  prove.set_key("key");
  v1::RootRequest local_root;
  local_root.set_local_only(true);
  for (const absl::Status& status :
       {server.Get("key").status(), server.MultiGet({"key"}).status(), server.Scan({}).status,
        server.Root().status(),
        TestServer::Call(server.admin(), &v1::AdminService::Stub::Root, local_root).status(),
        TestServer::Call(server.admin(), &v1::AdminService::Stub::Members, v1::MembersRequest())
            .status(),
        TestServer::Call(server.admin(), &v1::AdminService::Stub::Prove, prove).status(),
        TestServer::Call(server.peer(), &v1::PeerService::Stub::ExchangeRoots,
                         ToProto(ExchangeRootsRequest{.sender = {.node_id = 9}}))
            .status(),
        TestServer::Call(server.peer(), &v1::PeerService::Stub::FetchRecords,
                         ToProto(FetchRecordsRequest{.key_ids = {base::KeyIdOf("key")}}))
            .status()}) {
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kUnavailable));
    EXPECT_EQ(base::ReasonOf(status), base::kReasonEngineFailed);
  }
}

TEST(ServerDrainTest, FailureIsReportedUnderEveryPolicy) {
  for (const auto sync : {storage::SyncPolicy::kInterval, storage::SyncPolicy::kNone}) {
    ServerOptions options = WithoutMaintenance();
    options.replica.storage.sync = sync;
    options.sync_interval = absl::Milliseconds(5);
    TestServer server(options);
    // Acknowledged at once, as the operator chose.
    ASSERT_OK(server.Put("key", "value"));
    server.disk().InjectFault({.operation = MemoryFileSystem::Operation::kWrite, .lasting = true});
    // If the first has reached the disk by now, this one does not; else it may be refused already.
    server.Put("late", "value").status().IgnoreError();
    EXPECT_TRUE(server.failed().WaitForNotificationWithTimeout(kTestTimeout));
  }
}

TEST(ServerDrainTest, MaintenanceNoticesAFailedEngine) {
  TestServer server;
  server.disk().InjectFault({.operation = absl::nullopt, .lasting = true});
  EXPECT_TRUE(server.failed().WaitForNotificationWithTimeout(kTestTimeout));
}

TEST(ServerStartTest, RefusesADirectoryInUse) {
  MemoryFileSystem disk;
  TestServer server(TestServer::DefaultOptions(), &disk);
  const auto second =
      Server::Start(&disk, TestServer::DefaultOptions(), /*seed=*/2, [](const absl::Status&) {});
  EXPECT_THAT(second, StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_EQ(base::ReasonOf(second.status()), base::kReasonDirectoryInUse);
}

TEST(ServerStartTest, RefusesAPortInUse) {
  TestServer server;
  ServerOptions options = TestServer::DefaultOptions();
  options.listen.port = server.server().endpoint().port;
  MemoryFileSystem disk;
  EXPECT_THAT(Server::Start(&disk, options, /*seed=*/2, [](const absl::Status&) {}),
              StatusIs(absl::StatusCode::kAlreadyExists, ::testing::HasSubstr("in use")));
}

}  // namespace
}  // namespace slipstream::node
