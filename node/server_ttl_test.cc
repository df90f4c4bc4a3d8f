// Values that expire: what the server makes of a time to live, and which it refuses. That reads
// hide them is asked of the replica, whose clock is an argument.

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/error_reason.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "google/protobuf/duration.pb.h"
#include "gtest/gtest.h"
#include "merkle/tree.h"
#include "node/operations.h"
#include "node/real_clock.h"
#include "node/replica.h"
#include "node/server.h"
#include "node/testing/test_server.h"
#include "slipstream/v1/kv.grpc.pb.h"
#include "slipstream/v1/kv.pb.h"
#include "storage/entry.h"

namespace slipstream::node {
namespace {

using base::testing::IsOkAndHolds;
using base::testing::StatusIs;
using ::testing::AllOf;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Le;
using ::testing::SizeIs;

constexpr int64_t kTenYears = int64_t{3650} * 24 * 3600;

google::protobuf::Duration Ttl(int64_t seconds, int32_t nanos = 0) {
  google::protobuf::Duration ttl;
  ttl.set_seconds(seconds);
  ttl.set_nanos(nanos);
  return ttl;
}

v1::Operation WithTtl(v1::Operation operation, const google::protobuf::Duration& ttl) {
  *operation.mutable_ttl() = ttl;
  return operation;
}

uint64_t NowMs() { return static_cast<uint64_t>(absl::ToUnixMillis(WallNow())); }

TEST(ExpiryOfTest, IsRoundedUpToMilliseconds) {
  const absl::Time now = absl::FromUnixMillis(1000);
  EXPECT_THAT(ExpiryOf(Ttl(0, 1), now), IsOkAndHolds(1001u));
  EXPECT_THAT(ExpiryOf(Ttl(0, 1'000'000), now), IsOkAndHolds(1001u));
  EXPECT_THAT(ExpiryOf(Ttl(0, 1'000'001), now), IsOkAndHolds(1002u));
  EXPECT_THAT(ExpiryOf(Ttl(2, 500'000'000), now + absl::Microseconds(1)), IsOkAndHolds(3501u));
  // Never 0, which would say never.
  EXPECT_THAT(ExpiryOf(Ttl(1), absl::FromUnixSeconds(-1)), IsOkAndHolds(1u));
}

TEST(ExpiryOfTest, IsBounded) {
  const absl::Time now = absl::FromUnixSeconds(1'700'000'000);
  EXPECT_THAT(ExpiryOf(Ttl(kTenYears), now), IsOkAndHolds((1'700'000'000u + kTenYears) * 1000));
  for (const google::protobuf::Duration& ttl :
       {Ttl(0), Ttl(-1), Ttl(0, -1), Ttl(1, -1), Ttl(0, 1'000'000'000), Ttl(kTenYears, 1),
        Ttl(kTenYears + 1), Ttl(INT64_MAX, INT32_MAX), Ttl(INT64_MIN, INT32_MIN)}) {
    const absl::StatusOr<uint64_t> expiry = ExpiryOf(ttl, now);
    EXPECT_THAT(expiry, StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("ttl")));
    EXPECT_EQ(base::ReasonOf(expiry.status()), base::kReasonMessageInvalid);
  }
}

class ServerTtlTest : public ::testing::Test {
 protected:
  Replica& replica() { return server_.server().replica(); }

  absl::Status Put(const google::protobuf::Duration& ttl) {
    v1::PutRequest request;
    request.set_key("put");
    request.set_value("value");
    *request.mutable_ttl() = ttl;
    return TestServer::Call(server_.kv(), &v1::KvService::Stub::Put, request).status();
  }

  TestServer server_;
};

TEST_F(ServerTtlTest, PutExpiresAfterItsTimeAndIsHiddenFromAllReadsAtOnce) {
  const uint64_t before_ms = NowMs();
  ASSERT_OK(Put(Ttl(3600)));
  const uint64_t after_ms = NowMs() + 1;
  ASSERT_OK_AND_ASSIGN(const v1::GetResponse response, server_.Get("put"));
  EXPECT_EQ(response.value(), "value");
  const uint64_t expires_at_ms = response.expires_at_ms();
  EXPECT_THAT(expires_at_ms, AllOf(Ge(before_ms + 3'600'000), Le(after_ms + 3'600'000)));

  ASSERT_OK_AND_ASSIGN(const v1::MultiGetResponse items, server_.MultiGet({"put"}));
  EXPECT_EQ(items.items(0).expires_at_ms(), expires_at_ms);
  const TestServer::ScanResult scan = server_.Scan({});
  ASSERT_THAT(scan.Items(), SizeIs(1));
  EXPECT_EQ(scan.Items()[0].expires_at_ms(), expires_at_ms);

  const absl::Time expiry = absl::FromUnixMillis(static_cast<int64_t>(expires_at_ms));
  EXPECT_TRUE(replica().Get("put", expiry - absl::Milliseconds(1))->found);
  EXPECT_FALSE(replica().Get("put", expiry)->found);
  EXPECT_THAT(replica().Scan({}, expiry - absl::Milliseconds(1))->items, SizeIs(1));
  EXPECT_THAT(replica().Scan({}, expiry)->items, IsEmpty());
}

TEST_F(ServerTtlTest, WithoutATtlNothingExpires) {
  ASSERT_OK(server_.Put("key", "value"));
  ASSERT_OK_AND_ASSIGN(const v1::GetResponse response, server_.Get("key"));
  EXPECT_EQ(response.expires_at_ms(), 0u);
  EXPECT_TRUE(replica().Get("key", absl::InfiniteFuture())->found);
  // Nor does what replaces an expiring value.
  ASSERT_OK(Put(Ttl(3600)));
  ASSERT_OK(server_.Put("put", "for ever"));
  ASSERT_OK_AND_ASSIGN(const v1::GetResponse replaced, server_.Get("put"));
  EXPECT_EQ(replaced.expires_at_ms(), 0u);
}

TEST_F(ServerTtlTest, TheLeafCarriesTheExpiry) {
  ASSERT_OK(Put(Ttl(3600)));
  ASSERT_OK_AND_ASSIGN(const v1::GetResponse response, server_.Get("put"));
  storage::Lsn lsn = 0;
  ASSERT_OK_AND_ASSIGN(const merkle::Tree::RootedProof proof, replica().Prove("put", &lsn));
  ASSERT_TRUE(proof.proof.end.has_value());
  EXPECT_EQ(proof.proof.end->expires_at_ms, response.expires_at_ms());
}

TEST_F(ServerTtlTest, BatchesTakeATtlForEachPut) {
  v1::BatchWriteRequest batch;
  *batch.add_operations() = WithTtl(PutOperation("a", "1"), Ttl(3600));
  *batch.add_operations() = PutOperation("b", "2");
  const uint64_t before_ms = NowMs();
  ASSERT_OK(server_.BatchWrite(batch));
  EXPECT_THAT(server_.Get("a")->expires_at_ms(), Ge(before_ms + 3'600'000));
  EXPECT_EQ(server_.Get("b")->expires_at_ms(), 0u);
}

TEST_F(ServerTtlTest, RefusesATtlOutOfBoundsOrOfAnotherOperationThanPut) {
  EXPECT_THAT(Put(Ttl(0)), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("ttl: 0 s")));
  EXPECT_THAT(Put(Ttl(kTenYears, 1)),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("at most 315360000 s")));
  EXPECT_OK(Put(Ttl(kTenYears)));
  v1::BatchWriteRequest batch;
  *batch.add_operations() = PutOperation("a", "1");
  *batch.add_operations() = WithTtl(DeleteOperation("b"), Ttl(1));
  EXPECT_THAT(server_.BatchWrite(batch), StatusIs(absl::StatusCode::kInvalidArgument,
                                                  HasSubstr("operations[1].ttl: only a put")));
  *batch.mutable_operations(1) = WithTtl(PutOperation("b", "2"), Ttl(-1));
  EXPECT_THAT(server_.BatchWrite(batch),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("operations[1].ttl: -1 s")));
  EXPECT_THAT(server_.Get("a"), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(ServerTtlTest, PipelinedPutsExpireEachForItself) {
  grpc::ClientContext context;
  SetTestDeadline(context);
  const auto stream = server_.kv().Pipeline(&context);
  v1::PipelineRequest request;
  *request.add_operations() = WithTtl(PutOperation("a", "1"), Ttl(3600));
  *request.add_operations() = WithTtl(PutOperation("b", "2"), Ttl(0));
  *request.add_operations() = WithTtl(GetOperation("a"), Ttl(1));
  *request.add_operations() = PutOperation("c", "3");
  ASSERT_TRUE(stream->Write(request));
  v1::PipelineResponse response;
  ASSERT_TRUE(stream->Read(&response));
  ASSERT_EQ(response.results_size(), 4);
  constexpr int kInvalid = static_cast<int>(absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(response.results(0).code(), 0);
  EXPECT_EQ(response.results(1).code(), kInvalid);
  EXPECT_EQ(response.results(1).reason(), base::kReasonMessageInvalid);
  EXPECT_EQ(response.results(2).code(), kInvalid);
  EXPECT_EQ(response.results(3).code(), 0);
  EXPECT_TRUE(stream->WritesDone());
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_NE(server_.Get("a")->expires_at_ms(), 0u);
  EXPECT_THAT(server_.Get("b"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_EQ(server_.Get("c")->expires_at_ms(), 0u);
}

TEST_F(ServerTtlTest, TransactionsTakeATtlForEachPut) {
  grpc::ClientContext context;
  SetTestDeadline(context);
  const auto stream = server_.kv().Transaction(&context);
  v1::TransactionResponse response;
  const auto run = [&](const v1::Operation& operation) {
    v1::TransactionRequest request;
    *request.mutable_operation() = operation;
    return stream->Write(request) && stream->Read(&response);
  };
  v1::TransactionRequest begin;
  begin.mutable_begin();
  ASSERT_TRUE(stream->Write(begin) && stream->Read(&response));
  const uint64_t before_ms = NowMs();
  ASSERT_TRUE(run(WithTtl(PutOperation("a", "1"), Ttl(3600))));
  ASSERT_TRUE(run(PutOperation("b", "2")));
  ASSERT_TRUE(run(GetOperation("a")));
  const uint64_t expires_at_ms = response.expires_at_ms();
  EXPECT_THAT(expires_at_ms, AllOf(Ge(before_ms + 3'600'000), Le(NowMs() + 1 + 3'600'000)));
  v1::TransactionRequest commit;
  commit.mutable_commit();
  ASSERT_TRUE(stream->Write(commit) && stream->Read(&response));
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(server_.Get("a")->expires_at_ms(), expires_at_ms);
  EXPECT_EQ(server_.Get("b")->expires_at_ms(), 0u);
}

TEST_F(ServerTtlTest, TransactionsRefuseATtlOutOfBounds) {
  grpc::ClientContext context;
  SetTestDeadline(context);
  const auto stream = server_.kv().Transaction(&context);
  v1::TransactionResponse response;
  v1::TransactionRequest request;
  request.mutable_begin();
  ASSERT_TRUE(stream->Write(request) && stream->Read(&response));
  *request.mutable_operation() = WithTtl(PutOperation("a", "1"), Ttl(0));
  ASSERT_TRUE(stream->Write(request));
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_THAT(FromGrpcStatus(stream->Finish(), context),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("ttl: 0 s")));
}

}  // namespace
}  // namespace slipstream::node
