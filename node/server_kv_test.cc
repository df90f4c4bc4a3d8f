// The unary calls of KvService: what they do, and every limit at its bound and one beyond.

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/error_reason.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "node/server.h"
#include "node/testing/test_server.h"
#include "slipstream/v1/kv.pb.h"

namespace slipstream::node {
namespace {

using base::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;

template <typename Result>
void ExpectReason(const Result& result, absl::StatusCode code, absl::string_view reason) {
  const absl::Status& status = base::testing::GetStatus(result);
  EXPECT_THAT(status, StatusIs(code));
  EXPECT_EQ(base::ReasonOf(status), reason) << status;
}

bool IsLess(const v1::Version& left, const v1::Version& right) { return left.hlc() < right.hlc(); }

class ServerKvTest : public ::testing::Test {
 protected:
  TestServer server_;
};

TEST_F(ServerKvTest, GetReturnsWhatWasPutWithItsVersion) {
  const std::string value("\0value\xff", 7);
  ASSERT_OK_AND_ASSIGN(const v1::Version version, server_.Put("key", value));
  ASSERT_OK_AND_ASSIGN(const v1::GetResponse response, server_.Get("key"));
  EXPECT_EQ(response.value(), value);
  EXPECT_EQ(response.version().hlc(), version.hlc());
  EXPECT_EQ(response.version().actor(),
            static_cast<uint64_t>(server_.server().replica().engine().actor()));
}

TEST_F(ServerKvTest, PutIsDurableWhenItIsAnswered) {
  ASSERT_OK(server_.Put("key", "value"));
  EXPECT_EQ(server_.server().replica().engine().durable_lsn(), 1u);
}

TEST_F(ServerKvTest, LaterWritesHaveGreaterVersions) {
  ASSERT_OK_AND_ASSIGN(const v1::Version first, server_.Put("key", "1"));
  ASSERT_OK_AND_ASSIGN(const v1::Version second, server_.Delete("key"));
  ASSERT_OK_AND_ASSIGN(const v1::Version third, server_.Put("key", "3"));
  EXPECT_TRUE(IsLess(first, second));
  EXPECT_TRUE(IsLess(second, third));
}

TEST_F(ServerKvTest, GetOfAbsentOrDeletedKeyIsNotFound) {
  ExpectReason(server_.Get("key"), absl::StatusCode::kNotFound, base::kReasonKeyNotFound);
  ASSERT_OK(server_.Put("key", "value"));
  ASSERT_OK(server_.Delete("key"));
  ExpectReason(server_.Get("key"), absl::StatusCode::kNotFound, base::kReasonKeyNotFound);
}

TEST_F(ServerKvTest, DeleteOfAbsentKeySucceeds) { EXPECT_OK(server_.Delete("key")); }

TEST_F(ServerKvTest, KeysAreBoundedInEveryCall) {
  const std::string longest(4096, 'k');
  EXPECT_OK(server_.Put(longest, ""));
  EXPECT_OK(server_.Get(longest));
  EXPECT_OK(server_.MultiGet({longest}));
  EXPECT_OK(server_.Delete(longest));
  for (const std::string& key : {std::string(), longest + 'k'}) {
    ExpectReason(server_.Put(key, ""), kInvalid, base::kReasonKeySize);
    ExpectReason(server_.Get(key), kInvalid, base::kReasonKeySize);
    ExpectReason(server_.Delete(key), kInvalid, base::kReasonKeySize);
    ExpectReason(server_.MultiGet({key}), kInvalid, base::kReasonKeySize);
    v1::BatchWriteRequest batch;
    *batch.add_operations() = PutOperation(key, "");
    ExpectReason(server_.BatchWrite(batch), kInvalid, base::kReasonKeySize);
  }
  EXPECT_THAT(server_.Put(longest + 'k', ""),
              StatusIs(kInvalid, AllOf(HasSubstr("4097"), HasSubstr("4096"))));
}

TEST_F(ServerKvTest, ValuesAreBounded) {
  const std::string longest(1 << 20, 'v');
  ASSERT_OK(server_.Put("key", longest));
  ASSERT_OK_AND_ASSIGN(const v1::GetResponse response, server_.Get("key"));
  EXPECT_EQ(response.value(), longest);
  ExpectReason(server_.Put("key", longest + 'v'), kInvalid, base::kReasonValueSize);
  EXPECT_THAT(server_.Put("key", longest + 'v'),
              StatusIs(kInvalid, AllOf(HasSubstr("1048577"), HasSubstr("1048576"))));
  // Beyond what gRPC would have parsed by default.
  ExpectReason(server_.Put("key", std::string(8 << 20, 'v')), kInvalid, base::kReasonValueSize);
}

TEST_F(ServerKvTest, MessagesAreBounded) {
  EXPECT_THAT(server_.Put("key", std::string(kReceiveBytesMax, 'v')),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("larger than max")));
  EXPECT_OK(server_.Put("key", "value"));
}

TEST_F(ServerKvTest, ValuesMayBeLargerWhereTheOperatorSaysSo) {
  ServerOptions options = TestServer::DefaultOptions();
  options.replica.storage.limits.value_bytes_max = storage::kValueBytesCeiling;
  options.replica.storage.limits.batch_bytes_max = storage::kValueBytesCeiling + 4096;
  options.replica.storage.segment_bytes = 16 << 20;
  TestServer server(options);
  const std::string longest(storage::kValueBytesCeiling, 'v');
  ASSERT_OK(server.Put("key", longest));
  ASSERT_OK_AND_ASSIGN(const v1::GetResponse response, server.Get("key"));
  EXPECT_EQ(response.value(), longest);
  ExpectReason(server.Put("key", longest + 'v'), kInvalid, base::kReasonValueSize);
}

TEST_F(ServerKvTest, BatchAppliesAllItsWrites) {
  ASSERT_OK(server_.Put("b", "old"));
  v1::BatchWriteRequest batch;
  *batch.add_operations() = PutOperation("a", "1");
  *batch.add_operations() = DeleteOperation("b");
  ASSERT_OK_AND_ASSIGN(const v1::BatchWriteResponse response, server_.BatchWrite(batch));
  ASSERT_EQ(response.versions_size(), 2);
  ASSERT_OK_AND_ASSIGN(const v1::GetResponse read, server_.Get("a"));
  EXPECT_EQ(read.value(), "1");
  EXPECT_EQ(read.version().hlc(), response.versions(0).hlc());
  EXPECT_THAT(server_.Get("b"), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(ServerKvTest, BatchAppliesNothingIfOneWriteIsRefused) {
  v1::BatchWriteRequest batch;
  *batch.add_operations() = PutOperation("a", "1");
  for (const v1::Operation& refused :
       {GetOperation("b"), v1::Operation(), PutOperation("a", "2"), PutOperation("", "2")}) {
    v1::BatchWriteRequest request = batch;
    *request.add_operations() = refused;
    EXPECT_THAT(server_.BatchWrite(request), StatusIs(kInvalid));
  }
  v1::Operation delete_with_value = DeleteOperation("b");
  delete_with_value.set_value("v");
  *batch.add_operations() = delete_with_value;
  EXPECT_THAT(server_.BatchWrite(batch),
              StatusIs(kInvalid, HasSubstr("operations[1].value: 1 bytes")));
  EXPECT_THAT(server_.Get("a"), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(ServerKvTest, BatchesAreBoundedInOperations) {
  v1::BatchWriteRequest batch;
  for (int i = 0; i < 1000; ++i) *batch.add_operations() = PutOperation(absl::StrCat(i), "");
  EXPECT_OK(server_.BatchWrite(batch));
  *batch.add_operations() = PutOperation("one more", "");
  ExpectReason(server_.BatchWrite(batch), kInvalid, base::kReasonBatchSize);
  EXPECT_THAT(server_.BatchWrite(batch),
              StatusIs(kInvalid, AllOf(HasSubstr("1001"), HasSubstr("1000"))));
}

TEST_F(ServerKvTest, BatchesAreBoundedInBytes) {
  v1::BatchWriteRequest batch;
  for (int i = 0; i < 4; ++i) {
    *batch.add_operations() = PutOperation(absl::StrCat(i), std::string((1 << 20) - 1, 'v'));
  }
  EXPECT_OK(server_.BatchWrite(batch));
  batch.mutable_operations(0)->mutable_value()->push_back('v');
  ExpectReason(server_.BatchWrite(batch), kInvalid, base::kReasonBatchSize);
  EXPECT_THAT(server_.BatchWrite(batch),
              StatusIs(kInvalid, AllOf(HasSubstr("4194305"), HasSubstr("4194304"))));
}

TEST_F(ServerKvTest, MultiGetAnswersInTheOrderOfItsKeys) {
  ASSERT_OK(server_.Put("a", "1"));
  ASSERT_OK(server_.Put("b", ""));
  ASSERT_OK_AND_ASSIGN(const v1::MultiGetResponse response, server_.MultiGet({"b", "absent", "a"}));
  ASSERT_EQ(response.items_size(), 3);
  EXPECT_TRUE(response.items(0).found());
  EXPECT_EQ(response.items(0).value(), "");
  EXPECT_FALSE(response.items(1).found());
  EXPECT_EQ(response.items(2).value(), "1");
  EXPECT_NE(response.items(2).version().hlc(), 0u);
}

TEST_F(ServerKvTest, MultiGetIsBoundedInKeys) {
  std::vector<std::string> keys(1000, "k");
  ASSERT_OK_AND_ASSIGN(const v1::MultiGetResponse response, server_.MultiGet(keys));
  EXPECT_EQ(response.items_size(), 1000);
  keys.push_back("k");
  ExpectReason(server_.MultiGet(keys), kInvalid, base::kReasonBatchSize);
}

TEST_F(ServerKvTest, MultiGetAnswersWhatFitsAndLeavesTheRest) {
  ASSERT_OK(server_.Put("k", std::string(1 << 20, 'v')));
  ASSERT_OK_AND_ASSIGN(const v1::MultiGetResponse response,
                       server_.MultiGet(std::vector<std::string>(10, "k")));
  EXPECT_EQ(response.items_size(), 3);
  EXPECT_LT(response.ByteSizeLong(), size_t{4} << 20);
}

}  // namespace
}  // namespace slipstream::node
