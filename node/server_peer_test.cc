// PeerService: what a well-behaved peer gets, and what a hostile one does not.

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/error_reason.h"
#include "base/key_id.h"
#include "base/testing/status_matchers.h"
#include "base/version.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "node/real_clock.h"
#include "node/testing/test_server.h"
#include "node/wire.h"
#include "slipstream/v1/peer.pb.h"

namespace slipstream::node {
namespace {

using base::testing::StatusIs;
using ::testing::HasSubstr;

class ServerPeerTest : public ::testing::Test {
 protected:
  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(grpc::Status (v1::PeerService::Stub::*method)(grpc::ClientContext*,
                                                                              const Request&,
                                                                              Response*),
                                const Request& request) {
    return TestServer::Call(server_.peer(), method, request);
  }

  template <typename Result>
  void ExpectInvalid(const Result& result, const std::string& what) {
    EXPECT_THAT(result, StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(what)));
    EXPECT_EQ(base::ReasonOf(result.status()), base::kReasonMessageInvalid);
    // The node takes no harm.
    EXPECT_OK(server_.Put("after", "v"));
  }

  static v1::PushRecordsRequest Push(const storage::Record& record) {
    return ToProto(PushRecordsRequest{.groups = {{record}}});
  }

  static storage::Record SomeRecord() {
    return {.key = "key",
            .value = "value",
            .version = {.hlc = base::HlcFromTime(WallNow()), .actor = base::ActorId{77}},
            .sequence = 1};
  }

  TestServer server_;
};

TEST_F(ServerPeerTest, TellsItsRoot) {
  ASSERT_OK(server_.Put("a", "1"));
  ExchangeRootsRequest request;
  request.sender.node_id = 1;
  request.sender.name = "peer";
  ASSERT_OK_AND_ASSIGN(const v1::ExchangeRootsResponse response,
                       Call(&v1::PeerService::Stub::ExchangeRoots, ToProto(request)));
  EXPECT_EQ(response.responder().name(), "n1");
  EXPECT_EQ(response.responder().key_count(), 1u);
  EXPECT_EQ(response.responder().root(),
            std::string(server_.server().replica().tree().Root().view()));
}

TEST_F(ServerPeerTest, TakesRecordsOnceAndDurably) {
  const storage::Record record = SomeRecord();
  ASSERT_OK_AND_ASSIGN(v1::PushRecordsResponse response,
                       Call(&v1::PeerService::Stub::PushRecords, Push(record)));
  EXPECT_EQ(response.applied_count(), 1u);
  const storage::Engine& engine = server_.server().replica().engine();
  EXPECT_EQ(engine.durable_lsn(), engine.appended_lsn());
  ASSERT_OK_AND_ASSIGN(const v1::GetResponse read, server_.Get("key"));
  EXPECT_EQ(read.value(), "value");
  EXPECT_EQ(read.version().hlc(), record.version.hlc);
  EXPECT_EQ(read.version().actor(), 77u);
  ASSERT_OK_AND_ASSIGN(response, Call(&v1::PeerService::Stub::PushRecords, Push(record)));
  EXPECT_EQ(response.applied_count(), 0u);
}

TEST_F(ServerPeerTest, HoldsBackRecordsFromTheFuture) {
  storage::Record record = SomeRecord();
  record.version.hlc = base::HlcFromTime(WallNow() + absl::Hours(1));
  ASSERT_OK_AND_ASSIGN(const v1::PushRecordsResponse response,
                       Call(&v1::PeerService::Stub::PushRecords, Push(record)));
  EXPECT_EQ(response.applied_count(), 0u);
  EXPECT_EQ(response.held_back_count(), 1u);
  EXPECT_THAT(server_.Get("key"), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(ServerPeerTest, HandsOverRecords) {
  ASSERT_OK(server_.Put("a", "1"));
  FetchRecordsRequest request{.key_ids = {base::KeyIdOf("a"), base::KeyIdOf("absent")}};
  ASSERT_OK_AND_ASSIGN(v1::FetchRecordsResponse message,
                       Call(&v1::PeerService::Stub::FetchRecords, ToProto(request)));
  ASSERT_OK_AND_ASSIGN(const FetchRecordsResponse response, FromProto(message));
  EXPECT_EQ(response.handled_count, 2u);
  ASSERT_EQ(response.records.size(), 1u);
  EXPECT_EQ(response.records[0].key, "a");
  EXPECT_EQ(response.records[0].value, "1");
}

TEST_F(ServerPeerTest, RefusesWhatBreaksTheWire) {
  ExpectInvalid(Call(&v1::PeerService::Stub::ExchangeRoots, v1::ExchangeRootsRequest()),
                "sender: is missing");
  v1::FetchRecordsRequest fetch;
  fetch.set_key_ids("short");
  ExpectInvalid(Call(&v1::PeerService::Stub::FetchRecords, fetch), "key_ids: 5 bytes");
  ExpectInvalid(Call(&v1::PeerService::Stub::Reconcile, v1::ReconcileRequest()), "salt: 0 bytes");
  v1::PushRecordsRequest push = Push(SomeRecord());
  push.mutable_groups(0)->mutable_records(0)->set_key("");
  ExpectInvalid(Call(&v1::PeerService::Stub::PushRecords, push),
                "groups[0].records[0].key: 0 bytes");
  push = Push(SomeRecord());
  push.mutable_groups(0)->mutable_records(0)->set_value(std::string(kWireValueBytesMax + 1, 'v'));
  ExpectInvalid(Call(&v1::PeerService::Stub::PushRecords, push), "value: 8388609 bytes");
}

TEST_F(ServerPeerTest, RefusesListsThatAreNoLists) {
  v1::ReconcileRequest reconcile;
  reconcile.set_salt(std::string(16, 's'));
  v1::EntryList& list = *reconcile.add_lists();
  list.set_bit_count(4);
  list.set_prefix("\xff");
  ExpectInvalid(Call(&v1::PeerService::Stub::Reconcile, reconcile),
                "lists[0].prefix: bits after the first 4");
}

}  // namespace
}  // namespace slipstream::node
