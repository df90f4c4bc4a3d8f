// AdminService of a node alone; of several: server_cluster_test.

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/notification.h"
#include "base/error_reason.h"
#include "base/key_id.h"
#include "base/program_version.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "grpcpp/client_context.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/slice.h"
#include "gtest/gtest.h"
#include "merkle/proof.h"
#include "merkle/tree.h"
#include "node/testing/test_server.h"
#include "node/wire_values.h"
#include "slipstream/v1/admin.pb.h"

namespace slipstream::node {
namespace {

using base::testing::IsOkAndHolds;
using base::testing::StatusIs;
using ::testing::HasSubstr;

class ServerAdminTest : public ::testing::Test {
 protected:
  absl::StatusOr<v1::StatusResponse> Status() {
    return TestServer::Call(server_.admin(), &v1::AdminService::Stub::Status, v1::StatusRequest());
  }
  absl::StatusOr<merkle::Presence> ProvePresence(const std::string& key, const std::string& root) {
    v1::ProveRequest request;
    request.set_key(key);
    const absl::StatusOr<v1::ProveResponse> response =
        TestServer::Call(server_.admin(), &v1::AdminService::Stub::Prove, request);
    if (!response.ok()) return response.status();
    EXPECT_EQ(response->root(), root);
    const absl::StatusOr<merkle::Tree::RootedProof> proof = FromProto(*response);
    if (!proof.ok()) return proof.status();
    return merkle::VerifyProof(proof->proof, base::KeyIdOf(key), proof->root);
  }

  TestServer server_;
};

TEST_F(ServerAdminTest, StatusTellsWhatTheNodeIs) {
  ASSERT_OK(server_.Put("a", "1"));
  ASSERT_OK(server_.Put("b", "2"));
  ASSERT_OK(server_.Delete("b"));
  ASSERT_OK_AND_ASSIGN(const v1::StatusResponse status, Status());
  const storage::Engine& engine = server_.server().replica().engine();
  EXPECT_EQ(status.node_name(), "n1");
  EXPECT_EQ(status.endpoint(), server_.address());
  EXPECT_EQ(status.node_id(), engine.node_id());
  EXPECT_EQ(status.actor(), static_cast<uint64_t>(engine.actor()));
  EXPECT_EQ(status.data_directory(), "/data");
  EXPECT_EQ(status.sync_policy(), "always");
  EXPECT_EQ(status.io_path(), "direct");
  EXPECT_EQ(status.key_count(), 1u);
  EXPECT_EQ(status.tombstone_count(), 1u);
  EXPECT_EQ(status.damaged_key_count(), 0u);
  EXPECT_GE(status.segment_count(), 1u);
  EXPECT_EQ(status.appended_lsn(), 3u);
  EXPECT_EQ(status.durable_lsn(), 3u);
  EXPECT_EQ(status.recovery_size(), 0);
  EXPECT_EQ(status.program_version(), std::string(base::kProgramVersion));
}

TEST_F(ServerAdminTest, SavesASnapshotNamedByItsRoot) {
  ASSERT_OK(server_.Put("a", "1"));
  ASSERT_OK(server_.Put("b", "2"));
  ASSERT_OK(server_.Delete("b"));
  v1::SaveSnapshotRequest request;
  request.set_directory("/backup");
  ASSERT_OK_AND_ASSIGN(
      const v1::SaveSnapshotResponse saved,
      TestServer::Call(server_.admin(), &v1::AdminService::Stub::SaveSnapshot, request));
  ASSERT_OK_AND_ASSIGN(const v1::RootResponse root, server_.Root());
  EXPECT_EQ(saved.root(), root.nodes(0).root());
  EXPECT_EQ(saved.key_count(), 1u);
  EXPECT_EQ(saved.tombstone_count(), 1u);
  EXPECT_FALSE(saved.was_there());
  EXPECT_EQ(saved.path(),
            absl::StrCat("/backup/slip-", absl::BytesToHexString(saved.root().substr(0, 8))));
  EXPECT_OK(server_.disk().ListDirectory(saved.path()));
  ASSERT_OK_AND_ASSIGN(
      const v1::SaveSnapshotResponse again,
      TestServer::Call(server_.admin(), &v1::AdminService::Stub::SaveSnapshot, request));
  EXPECT_TRUE(again.was_there());
  EXPECT_EQ(again.path(), saved.path());
}

TEST_F(ServerAdminTest, NoSnapshotGoesIntoTheDataDirectory) {
  using namespace std::string_literals;
  for (const std::string& directory : {"/data/backup"s, "backup"s, "/backup\0"s}) {
    v1::SaveSnapshotRequest request;
    request.set_directory(directory);
    const auto saved =
        TestServer::Call(server_.admin(), &v1::AdminService::Stub::SaveSnapshot, request);
    EXPECT_THAT(saved, StatusIs(absl::StatusCode::kInvalidArgument,
                                HasSubstr(absl::CHexEscape(directory))));
    EXPECT_EQ(base::ReasonOf(saved.status()), base::kReasonSnapshotPath);
  }
}

TEST_F(ServerAdminTest, StatusTellsWhatMemoryHoldsAndWouldHold) {
  ASSERT_OK(server_.Put("a", "1"));
  ASSERT_OK(server_.Put("b", "2"));
  ASSERT_OK(server_.Delete("b"));
  (void)server_.server().replica().tree().Root();
  ASSERT_OK_AND_ASSIGN(const v1::StatusResponse status, Status());
  EXPECT_EQ(status.memory_bytes(), status.keydir_bytes() + status.tree_bytes() +
                                       status.value_cache_bytes() + status.run_memory_bytes() +
                                       status.checkpoint_memory_bytes());
  EXPECT_EQ(status.hot_key_count(), 2u);
  EXPECT_EQ(status.cold_key_count(), 0u);
  const v1::MemoryForecast& forecast = status.memory_forecast();
  EXPECT_EQ(forecast.key_count(), 20u);
  EXPECT_EQ(forecast.keydir_bytes(), static_cast<uint64_t>(20 * forecast.keydir_bytes_per_key()));
  EXPECT_EQ(forecast.run_memory_bytes(), static_cast<uint64_t>(20 * forecast.run_bytes_per_key()));
  EXPECT_EQ(forecast.tree_bytes(), static_cast<uint64_t>(10 * forecast.tree_bytes_per_key()));
  const storage::Options& options = server_.server().replica().options().storage;
  EXPECT_EQ(forecast.value_cache_bytes(), options.value_cache_bytes);
  EXPECT_EQ(forecast.all_hot_bytes(), forecast.memory_bytes());
  EXPECT_EQ(forecast.hot_share(), 1);
}

TEST_F(ServerAdminTest, RootOfANodeAloneConverges) {
  ASSERT_OK(server_.Put("a", "1"));
  ASSERT_OK_AND_ASSIGN(const v1::RootResponse response, server_.Root());
  EXPECT_TRUE(response.converged());
  ASSERT_EQ(response.nodes_size(), 1);
  EXPECT_EQ(response.nodes(0).name(), "n1");
  EXPECT_EQ(response.nodes(0).endpoint(), server_.address());
  EXPECT_TRUE(response.nodes(0).reachable());
  EXPECT_EQ(response.nodes(0).key_count(), 1u);
  EXPECT_EQ(response.nodes(0).root(), std::string(server_.server().replica().tree().Root().view()));
}

TEST_F(ServerAdminTest, MembersOfANodeAloneAreItself) {
  ASSERT_OK_AND_ASSIGN(
      const v1::MembersResponse response,
      TestServer::Call(server_.admin(), &v1::AdminService::Stub::Members, v1::MembersRequest()));
  ASSERT_EQ(response.members_size(), 1);
  EXPECT_TRUE(response.members(0).self());
  EXPECT_TRUE(response.members(0).reachable());
  EXPECT_EQ(response.members(0).endpoint(), server_.address());
  EXPECT_EQ(response.members(0).root(), std::string(32, '\0'));
}

TEST_F(ServerAdminTest, ProvesPresenceAndAbsence) {
  for (const char* key : {"a", "b", "c"}) ASSERT_OK(server_.Put(key, "value"));
  ASSERT_OK_AND_ASSIGN(const v1::RootResponse response, server_.Root());
  const std::string root = response.nodes(0).root();
  EXPECT_THAT(ProvePresence("b", root), IsOkAndHolds(merkle::Presence::kPresent));
  EXPECT_THAT(ProvePresence("absent", root), IsOkAndHolds(merkle::Presence::kAbsent));
}

TEST_F(ServerAdminTest, ProveBoundsItsKey) {
  for (const std::string& key : {std::string(), std::string(4097, 'k')}) {
    const absl::Status status = ProvePresence(key, "").status();
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument));
    EXPECT_EQ(base::ReasonOf(status), base::kReasonKeySize);
  }
}

TEST_F(ServerAdminTest, HealthServiceSaysThatItServes) {
  grpc::GenericStub stub(server_.channel());
  grpc::ClientContext context;
  SetTestDeadline(context);
  const grpc::Slice empty;  // HealthCheckRequest{}: of the server as a whole.
  const grpc::ByteBuffer request(&empty, 1);
  grpc::ByteBuffer response;
  grpc::Status status;
  absl::Notification answered;
  stub.UnaryCall(&context, "/grpc.health.v1.Health/Check", grpc::StubOptions(), &request, &response,
                 [&](grpc::Status result) {
                   status = std::move(result);
                   answered.Notify();
                 });
  answered.WaitForNotification();
  ASSERT_TRUE(status.ok()) << status.error_message();
  grpc::Slice slice;
  ASSERT_TRUE(response.DumpToSingleSlice(&slice).ok());
  // HealthCheckResponse{status: SERVING}.
  EXPECT_EQ(absl::string_view(reinterpret_cast<const char*>(slice.begin()), slice.size()),
            "\x08\x01");
}

TEST_F(ServerAdminTest, RootNamesPeersThatCannotBeReached) {
  ServerOptions options = TestServer::DefaultOptions();
  options.replica.peers = {"127.0.0.1:1"};
  TestServer server(options);
  ASSERT_OK_AND_ASSIGN(const v1::RootResponse response, server.Root());
  EXPECT_FALSE(response.converged());
  ASSERT_EQ(response.nodes_size(), 2);
  EXPECT_EQ(response.nodes(1).endpoint(), "127.0.0.1:1");
  EXPECT_FALSE(response.nodes(1).reachable());
  EXPECT_THAT(response.nodes(1).error(), HasSubstr("UNAVAILABLE"));
  EXPECT_EQ(response.nodes(1).root(), "");
  v1::RootRequest local;
  local.set_local_only(true);
  ASSERT_OK_AND_ASSIGN(const v1::RootResponse alone,
                       TestServer::Call(server.admin(), &v1::AdminService::Stub::Root, local));
  EXPECT_TRUE(alone.converged());
  EXPECT_EQ(alone.nodes_size(), 1);
}

}  // namespace
}  // namespace slipstream::node
