// KvService.Transact: conditions over the wire, and that a refusal writes nothing.

#include <atomic>
#include <string>
#include <thread>
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
#include "storage/engine.h"

namespace slipstream::node {
namespace {

using base::testing::StatusIs;
using ::testing::HasSubstr;

class ServerTransactTest : public ::testing::Test {
 protected:
  absl::StatusOr<v1::TransactResponse> Transact(const std::vector<v1::Precondition>& preconditions,
                                                const std::vector<v1::Operation>& operations) {
    v1::TransactRequest request;
    for (const v1::Precondition& one : preconditions) *request.add_preconditions() = one;
    for (const v1::Operation& one : operations) *request.add_operations() = one;
    return TestServer::Call(server_.kv(), &v1::KvService::Stub::Transact, request);
  }

  std::string Value(absl::string_view key) {
    const absl::StatusOr<v1::GetResponse> response = server_.Get(key);
    return response.ok() ? response->value() : "absent";
  }

  storage::Engine& engine() { return server_.server().replica().engine(); }

  TestServer server_;
};

v1::Precondition Present(absl::string_view key, bool present) {
  v1::Precondition precondition;
  precondition.set_key(std::string(key));
  precondition.set_present(present);
  return precondition;
}

v1::Precondition HasVersion(absl::string_view key, const v1::Version& version) {
  v1::Precondition precondition;
  precondition.set_key(std::string(key));
  *precondition.mutable_version() = version;
  return precondition;
}

v1::Precondition HasValue(absl::string_view key, absl::string_view value) {
  v1::Precondition precondition;
  precondition.set_key(std::string(key));
  precondition.set_value(std::string(value));
  return precondition;
}

template <typename Result>
void ExpectReason(const Result& result, absl::StatusCode code, absl::string_view reason) {
  const absl::Status& status = base::testing::GetStatus(result);
  EXPECT_THAT(status, StatusIs(code));
  EXPECT_EQ(base::ReasonOf(status), reason) << status;
}

TEST_F(ServerTransactTest, WritesAllIfEveryConditionHolds) {
  ASSERT_OK_AND_ASSIGN(const v1::Version version, server_.Put("a", "1"));
  ASSERT_OK(server_.Put("b", "2"));
  ASSERT_OK_AND_ASSIGN(
      const v1::TransactResponse response,
      Transact(
          {HasVersion("a", version), HasValue("b", "2"), Present("b", true), Present("c", false)},
          {PutOperation("a", "3"), DeleteOperation("b"), PutOperation("c", "4")}));
  ASSERT_EQ(response.versions_size(), 3);
  EXPECT_LT(version.hlc(), response.versions(0).hlc());
  EXPECT_EQ(Value("a"), "3");
  EXPECT_EQ(Value("b"), "absent");
  EXPECT_EQ(Value("c"), "4");
  EXPECT_EQ(engine().durable_lsn(), 6u);
}

TEST_F(ServerTransactTest, WritesNothingIfOneConditionFails) {
  ASSERT_OK_AND_ASSIGN(v1::Version version, server_.Put("a", "1"));
  ASSERT_OK(server_.Delete("gone"));
  const storage::Lsn before = engine().appended_lsn();
  v1::Version other = version;
  other.set_actor(version.actor() + 1);
  for (const v1::Precondition& failing :
       {Present("a", false), Present("gone", true), Present("never", true), HasVersion("a", other),
        HasValue("a", "2"), HasValue("never", "")}) {
    const absl::StatusOr<v1::TransactResponse> response =
        Transact({Present("a", true), failing}, {PutOperation("b", "2")});
    ExpectReason(response, absl::StatusCode::kAborted, base::kReasonTransactionConflict);
    EXPECT_THAT(response.status().message(), HasSubstr(failing.key()));
  }
  EXPECT_EQ(engine().appended_lsn(), before);
}

TEST_F(ServerTransactTest, ComparesAloneIfNothingIsToBeWritten) {
  ASSERT_OK(server_.Put("a", "1"));
  ASSERT_OK_AND_ASSIGN(const v1::TransactResponse response, Transact({HasValue("a", "1")}, {}));
  EXPECT_EQ(response.versions_size(), 0);
  EXPECT_EQ(engine().appended_lsn(), 1u);
  EXPECT_OK(Transact({}, {}));
}

TEST_F(ServerTransactTest, OneOfManyAtOnceWins) {
  constexpr int kClientCount = 4;
  std::vector<std::thread> clients;
  std::atomic<int> won_count{0};
  for (int i = 0; i < kClientCount; ++i) {
    clients.emplace_back([&, i] {
      const absl::Status status =
          Transact({Present("lock", false)}, {PutOperation("lock", absl::StrCat(i))}).status();
      if (status.ok()) {
        ++won_count;
      } else {
        ExpectReason(status, absl::StatusCode::kAborted, base::kReasonTransactionConflict);
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(won_count, 1);
}

TEST_F(ServerTransactTest, RefusesWhatIsNoConditionAndNoWrite) {
  v1::Precondition empty;
  empty.set_key("a");
  const absl::StatusOr<v1::TransactResponse> response = Transact({Present("a", false), empty}, {});
  ExpectReason(response, absl::StatusCode::kInvalidArgument, base::kReasonMessageInvalid);
  EXPECT_THAT(response.status().message(), HasSubstr("preconditions[1].condition"));
  ExpectReason(Transact({}, {GetOperation("a")}), absl::StatusCode::kInvalidArgument,
               base::kReasonMessageInvalid);
  ExpectReason(Transact({}, {PutOperation("a", "1"), PutOperation("a", "2")}),
               absl::StatusCode::kInvalidArgument, base::kReasonMessageInvalid);
  ExpectReason(Transact({Present("", true)}, {}), absl::StatusCode::kInvalidArgument,
               base::kReasonKeySize);
}

TEST_F(ServerTransactTest, ConditionsAreBounded) {
  EXPECT_OK(Transact(std::vector<v1::Precondition>(1000, Present("a", false)), {}));
  ExpectReason(Transact(std::vector<v1::Precondition>(1001, Present("a", false)), {}),
               absl::StatusCode::kInvalidArgument, base::kReasonBatchSize);
}

}  // namespace
}  // namespace slipstream::node
