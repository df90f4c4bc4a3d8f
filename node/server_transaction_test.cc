// KvService.Transaction: steps, conflicts, and every way in which a stream ends.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/error_reason.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "grpcpp/support/sync_stream.h"
#include "gtest/gtest.h"
#include "node/open_transactions.h"
#include "node/server.h"
#include "node/testing/test_server.h"
#include "slipstream/v1/kv.pb.h"
#include "storage/options.h"

namespace slipstream::node {
namespace {

using base::testing::StatusIs;
using ::testing::HasSubstr;

// A client's side of one transaction.
class ClientTransaction {
 public:
  explicit ClientTransaction(TestServer& server) {
    SetTestDeadline(context_);
    stream_ = server.kv().Transaction(&context_);
  }

  // Sends a step; returns whether it was answered.
  bool Step(const v1::TransactionRequest& request) {
    return stream_->Write(request) && stream_->Read(&response_);
  }
  bool Begin() {
    v1::TransactionRequest request;
    request.mutable_begin();
    return Step(request);
  }
  bool Run(v1::Operation operation) {
    v1::TransactionRequest request;
    *request.mutable_operation() = std::move(operation);
    return Step(request);
  }
  bool Commit() {
    v1::TransactionRequest request;
    request.mutable_commit();
    return Step(request);
  }
  bool Rollback() {
    v1::TransactionRequest request;
    request.mutable_rollback();
    return Step(request);
  }
  std::string Get(absl::string_view key) {
    if (!Run(GetOperation(key))) return "no answer";
    return response_.found() ? response_.value() : "absent";
  }

  // The answer to the last step.
  const v1::TransactionResponse& response() const { return response_; }
  // Waits for the server to end the stream.
  absl::Status Finish() {
    EXPECT_FALSE(stream_->Read(&response_));
    return FromGrpcStatus(stream_->Finish(), context_);
  }
  void Cancel() { context_.TryCancel(); }
  void HalfClose() { stream_->WritesDone(); }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::TransactionRequest, v1::TransactionResponse>>
      stream_;
  v1::TransactionResponse response_;
};

class ServerTransactionTest : public ::testing::Test {
 protected:
  static ServerOptions With(const TransactionLimits& limits) {
    ServerOptions options = TestServer::DefaultOptions();
    options.transactions = limits;
    return options;
  }

  static std::string Value(TestServer& server, absl::string_view key) {
    const absl::StatusOr<v1::GetResponse> response = server.Get(key);
    return response.ok() ? response->value() : "absent";
  }

  // Drains: all that calls held must have been given back.
  static void ExpectNothingHeld(TestServer& server) {
    EXPECT_OK(server.server().Drain());
    EXPECT_EQ(server.server().gate().call_count(), 0u);
    EXPECT_EQ(server.server().gate().byte_count(), 0u);
    EXPECT_EQ(server.server().transactions().count(), 0u);
  }

  static void ExpectReason(const absl::Status& status, absl::StatusCode code,
                           absl::string_view reason) {
    EXPECT_THAT(status, StatusIs(code));
    EXPECT_EQ(base::ReasonOf(status), reason) << status;
  }
};

TEST_F(ServerTransactionTest, CommitsWhatItReadAndWrote) {
  TestServer server;
  ASSERT_OK(server.Put("a", "1"));
  ClientTransaction transaction(server);
  ASSERT_TRUE(transaction.Begin());
  EXPECT_EQ(transaction.Get("a"), "1");
  EXPECT_NE(transaction.response().version().hlc(), 0u);
  EXPECT_EQ(transaction.Get("b"), "absent");
  ASSERT_TRUE(transaction.Run(PutOperation("b", "2")));
  ASSERT_TRUE(transaction.Run(DeleteOperation("a")));
  EXPECT_EQ(transaction.Get("b"), "2");
  EXPECT_FALSE(transaction.response().has_version());
  EXPECT_EQ(Value(server, "b"), "absent");
  ASSERT_TRUE(transaction.Commit());
  EXPECT_EQ(transaction.response().versions_size(), 2);
  EXPECT_EQ(server.server().replica().engine().durable_lsn(), 4u);
  EXPECT_OK(transaction.Finish());
  EXPECT_EQ(Value(server, "a"), "absent");
  EXPECT_EQ(Value(server, "b"), "2");
  ExpectNothingHeld(server);
}

TEST_F(ServerTransactionTest, RollsBackWhenTold) {
  TestServer server;
  ClientTransaction transaction(server);
  ASSERT_TRUE(transaction.Begin());
  ASSERT_TRUE(transaction.Run(PutOperation("a", "1")));
  ASSERT_TRUE(transaction.Rollback());
  EXPECT_OK(transaction.Finish());
  EXPECT_EQ(Value(server, "a"), "absent");
  ExpectNothingHeld(server);
}

TEST_F(ServerTransactionTest, ConflictEndsItAtCommitAndAtRead) {
  TestServer server;
  for (const bool at_commit : {true, false}) {
    ClientTransaction transaction(server);
    ASSERT_TRUE(transaction.Begin());
    ASSERT_NE(transaction.Get("a"), "no answer");
    ASSERT_TRUE(transaction.Run(PutOperation("b", "mine")));
    ASSERT_OK(server.Put("a", "theirs"));
    if (at_commit) {
      EXPECT_FALSE(transaction.Commit());
    } else {
      EXPECT_EQ(transaction.Get("a"), "no answer");
    }
    const absl::Status status = transaction.Finish();
    ExpectReason(status, absl::StatusCode::kAborted, base::kReasonTransactionConflict);
    EXPECT_THAT(status.message(), HasSubstr("\"a\""));
    EXPECT_EQ(Value(server, "b"), "absent");
  }
  ExpectNothingHeld(server);
}

TEST_F(ServerTransactionTest, BrokenStreamRollsBack) {
  TestServer server;
  for (const bool cancels : {true, false}) {
    ClientTransaction transaction(server);
    ASSERT_TRUE(transaction.Begin());
    ASSERT_TRUE(transaction.Run(PutOperation("a", std::string(1 << 20, 'v'))));
    EXPECT_GE(server.server().gate().byte_count(), size_t{1} << 20);
    if (cancels) {
      transaction.Cancel();
    } else {
      transaction.HalfClose();
    }
    EXPECT_THAT(transaction.Finish(), StatusIs(absl::StatusCode::kCancelled));
  }
  EXPECT_EQ(Value(server, "a"), "absent");
  ExpectNothingHeld(server);
}

TEST_F(ServerTransactionTest, SilenceRollsBack) {
  TestServer server(With({.idle_timeout = absl::Milliseconds(20)}));
  ClientTransaction transaction(server);
  transaction.Begin();  // On a slow machine that is too late already.
  const absl::Status status = transaction.Finish();
  ExpectReason(status, absl::StatusCode::kAborted, base::kReasonTransactionIdle);
  EXPECT_THAT(status.message(), HasSubstr("20ms"));
  ExpectNothingHeld(server);
}

TEST_F(ServerTransactionTest, NumberOfOpenOnesIsBounded) {
  TestServer server(With({.open_max = 2}));
  ClientTransaction first(server);
  ASSERT_TRUE(first.Begin());
  {
    ClientTransaction second(server);
    ASSERT_TRUE(second.Begin());
    ClientTransaction third(server);
    third.Begin();
    const absl::Status status = third.Finish();
    ExpectReason(status, absl::StatusCode::kResourceExhausted, base::kReasonTooBusy);
    EXPECT_THAT(status.message(), HasSubstr("2 transactions are open, of at most 2"));
    ASSERT_TRUE(second.Rollback());
    EXPECT_OK(second.Finish());
  }
  EXPECT_TRUE(first.Commit());
  EXPECT_OK(first.Finish());
  ExpectNothingHeld(server);
}

TEST_F(ServerTransactionTest, SizeIsBounded) {
  ServerOptions options = TestServer::DefaultOptions();
  options.replica.storage.limits.transaction_operations_max = 1500;
  TestServer server(options);
  ClientTransaction transaction(server);
  ASSERT_TRUE(transaction.Begin());
  for (int i = 0; i < 1500; ++i) ASSERT_TRUE(transaction.Run(PutOperation(absl::StrCat(i), "")));
  EXPECT_FALSE(transaction.Run(PutOperation("one more", "")));
  ExpectReason(transaction.Finish(), absl::StatusCode::kResourceExhausted,
               base::kReasonTransactionSize);
  EXPECT_EQ(Value(server, "0"), "absent");
  ExpectNothingHeld(server);
}

TEST_F(ServerTransactionTest, MayBeLargerThanABatch) {
  TestServer server;
  ClientTransaction transaction(server);
  ASSERT_TRUE(transaction.Begin());
  const std::string value(1 << 20, 'v');
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(transaction.Run(PutOperation(absl::StrCat("large", i), value)));
  }
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(transaction.Run(PutOperation(absl::StrCat(i), "")));
  EXPECT_GE(server.server().gate().byte_count(), size_t{10} << 20);
  ASSERT_TRUE(transaction.Commit());
  EXPECT_EQ(transaction.response().versions_size(), 1010);
  EXPECT_OK(transaction.Finish());
  EXPECT_EQ(server.server().replica().engine().durable_lsn(), 1011u);
  EXPECT_EQ(Value(server, "large9"), value);
  EXPECT_EQ(Value(server, "999"), "");
  ExpectNothingHeld(server);
}

// Beyond the buffer, what is written waits in the log.
TEST_F(ServerTransactionTest, MayBeLargerThanWhatMayBeInMemory) {
  const size_t buffer_bytes = storage::Limits{}.transaction_buffer_bytes;
  TestServer server;
  const std::string value(1 << 20, 'v');
  {
    ClientTransaction abandoned(server);
    ASSERT_TRUE(abandoned.Begin());
    for (int i = 0; i < 40; ++i) {
      ASSERT_TRUE(abandoned.Run(PutOperation(absl::StrCat("other", i), value)));
    }
    ASSERT_TRUE(abandoned.Rollback());
    EXPECT_OK(abandoned.Finish());
  }
  ClientTransaction transaction(server);
  ASSERT_TRUE(transaction.Begin());
  for (int i = 0; i < 40; ++i) {
    ASSERT_TRUE(transaction.Run(PutOperation(absl::StrCat("large", i), value)));
    ASSERT_LE(server.server().gate().byte_count(), buffer_bytes + 2 * value.size());
  }
  EXPECT_EQ(Value(server, "large0"), "absent");
  ASSERT_TRUE(transaction.Run(GetOperation("large0")));
  EXPECT_EQ(transaction.response().value(), value);
  ASSERT_TRUE(transaction.Commit());
  EXPECT_EQ(transaction.response().versions_size(), 40);
  EXPECT_OK(transaction.Finish());
  EXPECT_EQ(server.server().replica().engine().durable_lsn(),
            server.server().replica().engine().appended_lsn());
  for (const int i : {0, 20, 39}) EXPECT_EQ(Value(server, absl::StrCat("large", i)), value);
  EXPECT_EQ(Value(server, "other0"), "absent");
  ExpectNothingHeld(server);
}

TEST_F(ServerTransactionTest, BytesOfAllCallsAreBounded) {
  ServerOptions options = TestServer::DefaultOptions();
  options.calls.bytes_max = 1000;
  TestServer server(options);
  ClientTransaction transaction(server);
  ASSERT_TRUE(transaction.Begin());
  ASSERT_TRUE(transaction.Run(PutOperation("a", std::string(900, 'v'))));
  EXPECT_FALSE(transaction.Run(PutOperation("b", std::string(100, 'v'))));
  ExpectReason(transaction.Finish(), absl::StatusCode::kResourceExhausted, base::kReasonTooBusy);
  ExpectNothingHeld(server);
}

TEST_F(ServerTransactionTest, StepsOutOfOrderAreRefused) {
  TestServer server;
  const auto expect_refused = [](ClientTransaction& transaction) {
    ExpectReason(transaction.Finish(), absl::StatusCode::kInvalidArgument,
                 base::kReasonMessageInvalid);
  };
  ClientTransaction without_begin(server);
  EXPECT_FALSE(without_begin.Commit());
  expect_refused(without_begin);
  ClientTransaction twice(server);
  ASSERT_TRUE(twice.Begin());
  EXPECT_FALSE(twice.Begin());
  expect_refused(twice);
  ClientTransaction empty(server);
  EXPECT_FALSE(empty.Step({}));
  expect_refused(empty);
  ClientTransaction no_kind(server);
  ASSERT_TRUE(no_kind.Begin());
  EXPECT_FALSE(no_kind.Run({}));
  expect_refused(no_kind);
  ExpectNothingHeld(server);
}

TEST_F(ServerTransactionTest, DrainEndsOpenOnes) {
  TestServer server;
  ClientTransaction transaction(server);
  ASSERT_TRUE(transaction.Begin());
  ASSERT_TRUE(transaction.Run(PutOperation("a", "1")));
  ExpectNothingHeld(server);
  ExpectReason(transaction.Finish(), absl::StatusCode::kUnavailable, base::kReasonDraining);
}

}  // namespace
}  // namespace slipstream::node
