// What the server takes on at once, and what comes beyond: CallGate through gRPC.

#include <memory>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/error_reason.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "grpcpp/support/sync_stream.h"
#include "gtest/gtest.h"
#include "node/server.h"
#include "node/testing/test_server.h"
#include "slipstream/v1/kv.pb.h"

namespace slipstream::node {
namespace {

using base::testing::StatusIs;
using ::testing::HasSubstr;

ServerOptions WithCallLimits(const CallLimits& limits) {
  ServerOptions options = TestServer::DefaultOptions();
  options.calls = limits;
  return options;
}

void ExpectTooBusy(const absl::Status& status) {
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("try again")));
  EXPECT_EQ(base::ReasonOf(status), base::kReasonTooBusy);
}

// Waits until no more than `count` calls hold a ticket: a call gives its own back a moment after
// its client has the answer.
void WaitForCalls(TestServer& server, size_t count) {
  const absl::Time deadline = absl::Now() + kTestTimeout;
  while (server.server().gate().call_count() > count && absl::Now() < deadline) {
    std::this_thread::yield();
  }
  EXPECT_LE(server.server().gate().call_count(), count);
}

// A pipeline that is open: its first group is answered.
class OpenPipeline {
 public:
  explicit OpenPipeline(TestServer& server) {
    SetTestDeadline(context_);
    stream_ = server.kv().Pipeline(&context_);
    EXPECT_TRUE(stream_->Write({}));
    v1::PipelineResponse response;
    EXPECT_TRUE(stream_->Read(&response));
  }

  absl::Status Finish() {
    stream_->WritesDone();
    v1::PipelineResponse response;
    while (stream_->Read(&response)) {
    }
    return FromGrpcStatus(stream_->Finish(), context_);
  }

  auto& stream() { return *stream_; }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::PipelineRequest, v1::PipelineResponse>> stream_;
};

TEST(ServerLimitsTest, CallsBeyondTheLimitAreRefusedUntilOthersEnd) {
  TestServer server(WithCallLimits({.calls_max = 2}));
  OpenPipeline first(server);
  EXPECT_OK(server.Put("k", "v"));  // The second at this moment.
  WaitForCalls(server, 1);
  OpenPipeline second(server);
  ExpectTooBusy(server.Put("k", "v").status());
  ExpectTooBusy(server.MultiGet({"k"}).status());
  ExpectTooBusy(server.Root().status());
  ExpectTooBusy(server.Scan({}).status);
  {
    grpc::ClientContext context;
    SetTestDeadline(context);
    const auto third = server.kv().Pipeline(&context);
    ExpectTooBusy(FromGrpcStatus(third->Finish(), context));
  }
  EXPECT_OK(second.Finish());
  WaitForCalls(server, 1);
  EXPECT_OK(server.Put("k", "v"));
  EXPECT_OK(first.Finish());
}

TEST(ServerLimitsTest, BytesBeyondTheLimitAreRefused) {
  TestServer server(WithCallLimits({.bytes_max = 1000}));
  EXPECT_OK(server.Put("k", std::string(999, 'v')));
  WaitForCalls(server, 0);
  EXPECT_OK(server.Get("k"));
  WaitForCalls(server, 0);
  ExpectTooBusy(server.Put("k", std::string(1000, 'v')).status());
  EXPECT_EQ(server.server().gate().byte_count(), 0u);
}

TEST(ServerLimitsTest, AnswerBeyondTheBytesIsRefusedToo) {
  storage::MemoryFileSystem disk;
  {
    TestServer server(TestServer::DefaultOptions(), &disk);
    EXPECT_OK(server.Put("k", std::string(1001, 'v')));
  }
  TestServer server(WithCallLimits({.bytes_max = 1000}), &disk);
  ExpectTooBusy(server.Get("k").status());
  ExpectTooBusy(server.MultiGet({"k"}).status());
  ExpectTooBusy(server.Scan({}).status);
}

TEST(ServerLimitsTest, PipelineEndsAtTheBytesAfterItsAnswer) {
  storage::MemoryFileSystem disk;
  {
    TestServer server(TestServer::DefaultOptions(), &disk);
    EXPECT_OK(server.Put("k", std::string(1001, 'v')));
  }
  TestServer server(WithCallLimits({.bytes_max = 1000}), &disk);
  OpenPipeline pipeline(server);
  v1::PipelineRequest group;
  *group.add_operations() = GetOperation("k");
  ASSERT_TRUE(pipeline.stream().Write(group));
  v1::PipelineResponse response;
  // The group has been run: its answer is sent, but nothing more is read.
  EXPECT_TRUE(pipeline.stream().Read(&response));
  ExpectTooBusy(pipeline.Finish());
  WaitForCalls(server, 0);
  EXPECT_EQ(server.server().gate().byte_count(), 0u);
}

TEST(ServerLimitsTest, CallsThatWaitForAWorkerAreBounded) {
  ServerOptions options = TestServer::DefaultOptions();
  options.workers.queued_tasks_max = 0;
  options.readers.queued_tasks_max = 0;
  TestServer server(options);
  ExpectTooBusy(server.MultiGet({"k"}).status());
  ExpectTooBusy(server.Scan({}).status);
  EXPECT_OK(server.Put("k", "v"));
}

TEST(ServerLimitsTest, MetadataIsBounded) {
  TestServer server;
  grpc::ClientContext context;
  SetTestDeadline(context);
  context.AddMetadata("too-long", std::string(kMetadataBytesMax, 'm'));
  v1::PutRequest request;
  request.set_key("k");
  v1::PutResponse response;
  EXPECT_EQ(server.kv().Put(&context, request, &response).error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
  // The server may have closed the connection; the client's next one is as good as any.
  const absl::Time deadline = absl::Now() + kTestTimeout;
  while (!server.Put("k", "v").ok()) ASSERT_LT(absl::Now(), deadline);
}

}  // namespace
}  // namespace slipstream::node
