// The streams of KvService: Scan and Pipeline.

#include <algorithm>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/digest.h"
#include "base/error_reason.h"
#include "base/key_id.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "grpcpp/support/sync_stream.h"
#include "gtest/gtest.h"
#include "node/pipeline_stream.h"
#include "node/testing/test_server.h"
#include "slipstream/v1/kv.pb.h"

namespace slipstream::node {
namespace {

using base::testing::IsOk;
using base::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr int kOk = 0;
constexpr int kNotFound = static_cast<int>(absl::StatusCode::kNotFound);
constexpr int kInvalidArgument = static_cast<int>(absl::StatusCode::kInvalidArgument);
constexpr int kResourceExhausted = static_cast<int>(absl::StatusCode::kResourceExhausted);

class ScanTest : public ::testing::Test {
 protected:
  // Puts `count` keys and returns them in key_id order.
  std::vector<std::string> Fill(int count, const std::string& value) {
    std::vector<std::string> keys;
    for (int i = 0; i < count; ++i) {
      keys.push_back(absl::StrCat("key", i));
      EXPECT_OK(server_.Put(keys.back(), value));
    }
    std::sort(keys.begin(), keys.end(), [](const std::string& left, const std::string& right) {
      return base::KeyIdOf(left) < base::KeyIdOf(right);
    });
    return keys;
  }

  static std::vector<std::string> Keys(const TestServer::ScanResult& result) {
    std::vector<std::string> keys;
    for (const v1::ScanResponse::Item& item : result.Items()) keys.push_back(item.key());
    return keys;
  }

  TestServer server_;
};

TEST_F(ScanTest, OfNothingIsOneEmptyCompleteAnswer) {
  const TestServer::ScanResult result = server_.Scan({});
  EXPECT_OK(result.status);
  ASSERT_THAT(result.pages, SizeIs(1));
  EXPECT_EQ(result.pages[0].items_size(), 0);
  EXPECT_EQ(result.pages[0].next_page_token(), "");
}

TEST_F(ScanTest, ListsLiveKeysInKeyIdOrderWithWhatTheirLeavesAreMadeOf) {
  std::vector<std::string> keys = Fill(50, "value");
  ASSERT_OK(server_.Delete(keys[7]));
  keys.erase(keys.begin() + 7);
  const TestServer::ScanResult result = server_.Scan({});
  EXPECT_OK(result.status);
  EXPECT_EQ(Keys(result), keys);
  for (const v1::ScanResponse::Item& item : result.Items()) {
    EXPECT_EQ(item.value(), "value");
    EXPECT_EQ(item.value_digest(), std::string(base::DigestOfValue("value").view()));
    EXPECT_NE(item.version().hlc(), 0u);
    EXPECT_EQ(item.expires_at_ms(), 0u);
  }
}

TEST_F(ScanTest, CutsItsAnswersAndGoesOn) {
  const std::vector<std::string> keys = Fill(5, std::string(512 << 10, 'v'));
  const TestServer::ScanResult result = server_.Scan({});
  EXPECT_OK(result.status);
  EXPECT_EQ(Keys(result), keys);
  EXPECT_GE(result.pages.size(), 3u);
  for (const v1::ScanResponse& page : result.pages) {
    EXPECT_LE(page.ByteSizeLong(), (size_t{1} << 20) + 1024);
  }
}

TEST_F(ScanTest, StopsAtThePageSizeAndResumesAtTheToken) {
  const std::vector<std::string> keys = Fill(10, "value");
  std::vector<std::string> seen;
  v1::ScanRequest request;
  request.set_page_size(3);
  do {
    const TestServer::ScanResult result = server_.Scan(request);
    ASSERT_THAT(result.status, IsOk());
    const std::vector<std::string> page = Keys(result);
    EXPECT_LE(page.size(), 3u);
    seen.insert(seen.end(), page.begin(), page.end());
    request.set_page_token(result.pages.back().next_page_token());
  } while (!request.page_token().empty());
  EXPECT_EQ(seen, keys);
}

TEST_F(ScanTest, ResumesAfterAKeyThatIsGone) {
  const std::vector<std::string> keys = Fill(4, "value");
  v1::ScanRequest request;
  request.set_page_size(2);
  const TestServer::ScanResult first = server_.Scan(request);
  ASSERT_OK(server_.Delete(keys[1]));
  request.set_page_token(first.pages.back().next_page_token());
  EXPECT_THAT(Keys(server_.Scan(request)), ElementsAre(keys[2], keys[3]));
}

TEST_F(ScanTest, FiltersByPrefixAndLeavesValuesOutIfAsked) {
  Fill(20, "value");
  v1::ScanRequest request;
  request.set_prefix("key1");
  request.set_keys_only(true);
  const TestServer::ScanResult result = server_.Scan(request);
  EXPECT_OK(result.status);
  EXPECT_THAT(result.Items(), SizeIs(11));  // key1, key10 to key19.
  for (const v1::ScanResponse::Item& item : result.Items()) {
    EXPECT_EQ(item.value(), "");
    EXPECT_EQ(item.value_digest(), std::string(base::DigestOfValue("value").view()));
  }
}

TEST_F(ScanTest, RefusesTokensThatNoScanReturned) {
  Fill(2, "value");
  v1::ScanRequest request;
  request.set_page_size(1);
  const std::string token = server_.Scan(request).pages.back().next_page_token();
  for (const std::string& invalid :
       {std::string("x"), token + 'x', token.substr(1), "\2" + token.substr(1)}) {
    request.set_page_token(invalid);
    const TestServer::ScanResult result = server_.Scan(request);
    EXPECT_THAT(result.status, StatusIs(absl::StatusCode::kInvalidArgument));
    EXPECT_EQ(base::ReasonOf(result.status), base::kReasonMessageInvalid);
  }
}

TEST_F(ScanTest, PrefixIsBounded) {
  v1::ScanRequest request;
  request.set_prefix(std::string(4096, 'p'));
  EXPECT_OK(server_.Scan(request).status);
  request.set_prefix(std::string(4097, 'p'));
  const absl::Status status = server_.Scan(request).status;
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_EQ(base::ReasonOf(status), base::kReasonKeySize);
}

TEST_F(ScanTest, EndsWhenTheClientIsGone) {
  Fill(20, std::string(512 << 10, 'v'));
  {
    grpc::ClientContext context;
    SetTestDeadline(context);
    const auto reader = server_.kv().Scan(&context, {});
    v1::ScanResponse page;
    ASSERT_TRUE(reader->Read(&page));
    context.TryCancel();
    while (reader->Read(&page)) {
    }
    EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
  EXPECT_OK(server_.server().Drain());
  EXPECT_EQ(server_.server().gate().call_count(), 0u);
  EXPECT_EQ(server_.server().gate().byte_count(), 0u);
}

class PipelineTest : public ::testing::Test {
 protected:
  using Stream = grpc::ClientReaderWriter<v1::PipelineRequest, v1::PipelineResponse>;

  std::unique_ptr<Stream> Open() {
    SetTestDeadline(context_);
    return server_.kv().Pipeline(&context_);
  }

  // Sends one group and reads its answer.
  static v1::PipelineResponse Exchange(Stream& stream, const v1::PipelineRequest& request) {
    EXPECT_TRUE(stream.Write(request));
    v1::PipelineResponse response;
    EXPECT_TRUE(stream.Read(&response));
    EXPECT_EQ(response.id(), request.id());
    EXPECT_EQ(response.results_size(), request.operations_size());
    return response;
  }

  absl::Status Finish(Stream& stream) { return FromGrpcStatus(stream.Finish(), context_); }

  static v1::PipelineRequest Group(std::vector<v1::Operation> operations, uint64_t id = 1) {
    v1::PipelineRequest request;
    request.set_id(id);
    for (v1::Operation& operation : operations) *request.add_operations() = std::move(operation);
    return request;
  }

  TestServer server_;
  grpc::ClientContext context_;
};

TEST_F(PipelineTest, RunsTheOperationsOfAGroupInOrder) {
  const auto stream = Open();
  const v1::PipelineResponse response =
      Exchange(*stream, Group({GetOperation("k"), PutOperation("k", "1"), PutOperation("k", "2"),
                               GetOperation("k"), DeleteOperation("k"), GetOperation("k")}));
  EXPECT_EQ(response.results(0).code(), kNotFound);
  EXPECT_EQ(response.results(0).reason(), base::kReasonKeyNotFound);
  EXPECT_EQ(response.results(1).code(), kOk);
  EXPECT_LT(response.results(1).version().hlc(), response.results(2).version().hlc());
  EXPECT_EQ(response.results(3).value(), "2");
  EXPECT_EQ(response.results(3).version().hlc(), response.results(2).version().hlc());
  EXPECT_EQ(response.results(4).code(), kOk);
  EXPECT_EQ(response.results(5).code(), kNotFound);
  stream->WritesDone();
  EXPECT_OK(Finish(*stream));
}

TEST_F(PipelineTest, AnswersManyGroupsInOrderAndAllAreDurable) {
  const auto stream = Open();
  constexpr uint64_t kGroups = 10 * kPipelineGroupsMax;
  std::thread writer([&stream] {
    for (uint64_t id = 0; id < kGroups; ++id) {
      EXPECT_TRUE(stream->Write(
          Group({PutOperation(absl::StrCat(id), "v"), GetOperation(absl::StrCat(id))}, id)));
    }
    stream->WritesDone();
  });
  v1::PipelineResponse response;
  for (uint64_t id = 0; id < kGroups; ++id) {
    ASSERT_TRUE(stream->Read(&response));
    EXPECT_EQ(response.id(), id);
    EXPECT_EQ(response.results(1).value(), "v");
    EXPECT_GT(server_.server().replica().engine().durable_lsn(), id);
  }
  EXPECT_FALSE(stream->Read(&response));
  writer.join();
  EXPECT_OK(Finish(*stream));
}

TEST_F(PipelineTest, GroupSeesWhatTheOneBeforeItWrote) {
  const auto stream = Open();
  constexpr uint64_t kGroups = 10 * kPipelineGroupsMax;
  // Groups of all sizes, so that some are read before the one before them was run.
  std::thread writer([&stream] {
    for (uint64_t id = 0; id < kGroups; ++id) {
      std::vector<v1::Operation> operations = {GetOperation("k")};
      for (uint64_t i = 0; i < id % 7 * 20; ++i) operations.push_back(PutOperation("other", "v"));
      operations.push_back(PutOperation("k", absl::StrCat(id)));
      EXPECT_TRUE(stream->Write(Group(std::move(operations), id)));
    }
    stream->WritesDone();
  });
  v1::PipelineResponse response;
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.results(0).code(), kNotFound);
  for (uint64_t id = 1; id < kGroups; ++id) {
    ASSERT_TRUE(stream->Read(&response));
    EXPECT_EQ(response.results(0).value(), absl::StrCat(id - 1));
  }
  EXPECT_FALSE(stream->Read(&response));
  writer.join();
  EXPECT_OK(Finish(*stream));
}

TEST_F(PipelineTest, RefusedOperationsLeaveTheOthersAlone) {
  const auto stream = Open();
  v1::Operation get_with_value = GetOperation("a");
  get_with_value.set_value("v");
  const v1::PipelineResponse response = Exchange(
      *stream,
      Group({PutOperation("a", "1"), PutOperation("", "1"),
             PutOperation("b", std::string((1 << 20) + 1, 'v')), v1::Operation(), get_with_value,
             PutOperation(std::string(4097, 'k'), ""), PutOperation("c", "3")}));
  const std::vector<absl::string_view> reasons = {"",
                                                  base::kReasonKeySize,
                                                  base::kReasonValueSize,
                                                  base::kReasonMessageInvalid,
                                                  base::kReasonMessageInvalid,
                                                  base::kReasonKeySize,
                                                  ""};
  for (size_t i = 0; i < reasons.size(); ++i) {
    EXPECT_EQ(response.results(i).code(), reasons[i].empty() ? kOk : kInvalidArgument) << i;
    EXPECT_EQ(response.results(i).reason(), reasons[i]) << i;
    EXPECT_EQ(response.results(i).has_version(), reasons[i].empty()) << i;
  }
  EXPECT_OK(server_.Get("a"));
  EXPECT_OK(server_.Get("c"));
}

TEST_F(PipelineTest, GroupsAreBoundedAndEarlierOnesAreAnswered) {
  const auto stream = Open();
  const v1::PipelineRequest fitting =
      Group(std::vector<v1::Operation>(1000, PutOperation("k", "v")));
  EXPECT_EQ(Exchange(*stream, fitting).results(999).code(), kOk);
  v1::PipelineRequest excessive = fitting;
  *excessive.add_operations() = PutOperation("never", "v");
  ASSERT_TRUE(stream->Write(fitting));
  ASSERT_TRUE(stream->Write(excessive));
  v1::PipelineResponse response;
  EXPECT_TRUE(stream->Read(&response));
  EXPECT_FALSE(stream->Read(&response));
  const absl::Status status = Finish(*stream);
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument,
                               AllOf(HasSubstr("1001"), HasSubstr("1000"))));
  EXPECT_EQ(base::ReasonOf(status), base::kReasonBatchSize);
  EXPECT_THAT(server_.Get("never"), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(PipelineTest, GroupsAreBoundedInBytes) {
  const auto stream = Open();
  v1::PipelineRequest group =
      Group(std::vector<v1::Operation>(4, PutOperation("k", std::string((1 << 20) - 1, 'v'))));
  EXPECT_EQ(Exchange(*stream, group).results(3).code(), kOk);
  group.mutable_operations(0)->mutable_key()->push_back('k');
  ASSERT_TRUE(stream->Write(group));
  v1::PipelineResponse response;
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(base::ReasonOf(Finish(*stream)), base::kReasonBatchSize);
}

TEST_F(PipelineTest, ValuesReadAreBounded) {
  ASSERT_OK(server_.Put("k", std::string(1 << 20, 'v')));
  const auto stream = Open();
  const v1::PipelineResponse response =
      Exchange(*stream, Group(std::vector<v1::Operation>(5, GetOperation("k"))));
  EXPECT_EQ(response.results(2).code(), kOk);
  for (const int i : {3, 4}) {
    EXPECT_EQ(response.results(i).code(), kResourceExhausted);
    EXPECT_EQ(response.results(i).reason(), base::kReasonAnswerSize);
  }
}

TEST_F(PipelineTest, ClientThatDoesNotReadIsHeldUpAndLosesNothing) {
  ASSERT_OK(server_.Put("k", std::string(1 << 20, 'v')));
  ASSERT_OK(server_.Put("w", ""));
  const auto stream = Open();
  constexpr uint64_t kGroups = 60;  // Of a MiB each in answers: more than a stream may hold.
  for (uint64_t id = 0; id < kGroups; ++id) {
    ASSERT_TRUE(stream->Write(Group({PutOperation("w", ""), GetOperation("k")}, id)));
  }
  stream->WritesDone();
  // Time for the server to do what it must not: each of these is a round trip.
  for (int i = 0; i < 200; ++i) ASSERT_OK(server_.Get("w"));
  EXPECT_LT(server_.server().replica().engine().appended_lsn(), kGroups / 2);
  EXPECT_LE(server_.server().gate().byte_count(), kPipelineBytesMax + (size_t{2} << 20));
  v1::PipelineResponse response;
  for (uint64_t id = 0; id < kGroups; ++id) {
    ASSERT_TRUE(stream->Read(&response));
    EXPECT_EQ(response.id(), id);
  }
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_OK(Finish(*stream));
}

TEST_F(PipelineTest, EmptyGroupIsAnswered) {
  const auto stream = Open();
  Exchange(*stream, Group({}, 9));
}

TEST_F(PipelineTest, EndsWhenTheClientIsGone) {
  const auto stream = Open();
  Exchange(*stream, Group({PutOperation("k", "v")}));
  context_.TryCancel();
  EXPECT_THAT(Finish(*stream), StatusIs(absl::StatusCode::kCancelled));
  EXPECT_OK(server_.server().Drain());
  EXPECT_EQ(server_.server().gate().call_count(), 0u);
  EXPECT_EQ(server_.server().gate().byte_count(), 0u);
}

}  // namespace
}  // namespace slipstream::node
