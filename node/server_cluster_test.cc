// Several servers in one process that find to the same root. No test waits for a time: each asks
// until it is so, or until kTestTimeout.

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "node/server.h"
#include "node/testing/test_server.h"
#include "slipstream/v1/admin.pb.h"
#include "storage/memory_file_system.h"

namespace slipstream::node {
namespace {

using base::testing::StatusIs;

// Holds free loopback ports until their servers start.
class PortHolder {
 public:
  uint16_t Hold() {
    const int socket_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    SLIP_CHECK(socket_fd >= 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(address);
    SLIP_CHECK(bind(socket_fd, reinterpret_cast<sockaddr*>(&address), length) == 0);
    SLIP_CHECK(getsockname(socket_fd, reinterpret_cast<sockaddr*>(&address), &length) == 0);
    sockets_.push_back(socket_fd);
    return ntohs(address.sin_port);
  }
  void LetGo() {
    for (const int socket_fd : sockets_) close(socket_fd);
    sockets_.clear();
  }
  ~PortHolder() { LetGo(); }

 private:
  std::vector<int> sockets_;
};

// Nodes that all know each other by the same list.
class ServerClusterTest : public ::testing::Test {
 protected:
  void StartNodes(size_t count) {
    PortHolder holder;
    for (size_t i = 0; i < count; ++i) {
      ports_.push_back(holder.Hold());
      peers_.push_back(absl::StrCat("127.0.0.1:", ports_.back()));
      disks_.push_back(std::make_unique<storage::MemoryFileSystem>());
    }
    holder.LetGo();
    nodes_.resize(count);
    for (size_t i = 0; i < count; ++i) StartNode(i);
  }

  void StartNode(size_t index) {
    ServerOptions options = TestServer::DefaultOptions();
    options.listen.port = ports_[index];
    options.replica.name = absl::StrCat("n", index);
    options.replica.peers = peers_;  // Its own address among them.
    nodes_[index] = std::make_unique<TestServer>(options, disks_[index].get(), /*seed=*/index + 1);
  }

  static bool Eventually(const std::function<bool()>& condition) {
    const absl::Time deadline = absl::Now() + kTestTimeout;
    while (!condition()) {
      if (absl::Now() > deadline) return false;
      std::this_thread::yield();
    }
    return true;
  }

  // Whether all nodes answer, know of all others and have the same root, as `index` sees it.
  bool Converged(size_t index) {
    const absl::StatusOr<v1::RootResponse> response = nodes_[index]->Root();
    return response.ok() && response->converged() &&
           response->nodes_size() == static_cast<int>(nodes_.size());
  }
  bool AllConverged() {
    for (size_t i = 0; i < nodes_.size(); ++i) {
      if (!Converged(i)) return false;
    }
    return true;
  }

  std::vector<uint16_t> ports_;
  std::vector<std::string> peers_;
  std::vector<std::unique_ptr<storage::MemoryFileSystem>> disks_;
  std::vector<std::unique_ptr<TestServer>> nodes_;
};

TEST_F(ServerClusterTest, TwoNodesConverge) {
  StartNodes(2);
  for (int i = 0; i < 20; ++i) ASSERT_OK(nodes_[i % 2]->Put(absl::StrCat("key", i), "value"));
  ASSERT_OK(nodes_[0]->Delete("key1"));
  ASSERT_TRUE(Eventually([this] { return AllConverged(); }));
  for (const auto& node : nodes_) {
    EXPECT_OK(node->Get("key0"));
    EXPECT_THAT(node->Get("key1"), StatusIs(absl::StatusCode::kNotFound));
  }
}

TEST_F(ServerClusterTest, ThreeNodesConvergeOnTheGreatestVersion) {
  StartNodes(3);
  for (int round = 0; round < 10; ++round) {
    for (size_t i = 0; i < 3; ++i) ASSERT_OK(nodes_[i]->Put("key", absl::StrCat(round, "/", i)));
  }
  ASSERT_TRUE(Eventually([this] { return AllConverged(); }));
  ASSERT_OK_AND_ASSIGN(const v1::GetResponse expected, nodes_[0]->Get("key"));
  for (const auto& node : nodes_) {
    ASSERT_OK_AND_ASSIGN(const v1::GetResponse read, node->Get("key"));
    EXPECT_EQ(read.SerializeAsString(), expected.SerializeAsString());
  }
}

TEST_F(ServerClusterTest, NodeThatWasAwayCatchesUpAndBringsItsOwn) {
  StartNodes(3);
  ASSERT_OK(nodes_[2]->Put("of the third", "value"));
  ASSERT_TRUE(Eventually([this] { return AllConverged(); }));
  nodes_[2].reset();
  for (int i = 0; i < 100; ++i) ASSERT_OK(nodes_[0]->Put(absl::StrCat("key", i), "value"));
  ASSERT_OK(nodes_[1]->Delete("of the third"));
  // The others say who is missing, and why.
  ASSERT_OK_AND_ASSIGN(const v1::RootResponse apart, nodes_[0]->Root());
  EXPECT_FALSE(apart.converged());
  ASSERT_EQ(apart.nodes_size(), 3);
  EXPECT_FALSE(apart.nodes(2).reachable());
  EXPECT_EQ(apart.nodes(2).name(), "n2");
  EXPECT_NE(apart.nodes(2).error(), "");
  StartNode(2);
  ASSERT_TRUE(Eventually([this] { return AllConverged(); }));
  EXPECT_OK(nodes_[2]->Get("key99"));
  EXPECT_THAT(nodes_[2]->Get("of the third"), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(ServerClusterTest, MembersShowThisNodeOnceAndTheOthersInOrder) {
  StartNodes(3);
  ASSERT_TRUE(Eventually([this] { return AllConverged(); }));
  absl::StatusOr<v1::MembersResponse> response;
  // The node finds its own address in the list with its first exchange of roots.
  ASSERT_TRUE(Eventually([this, &response] {
    response = TestServer::Call(nodes_[1]->admin(), &v1::AdminService::Stub::Members,
                                v1::MembersRequest());
    return response.ok() && response->members_size() == 3 && response->members(1).reachable() &&
           response->members(2).reachable();
  }));
  EXPECT_TRUE(response->members(0).self());
  EXPECT_EQ(response->members(0).endpoint(), peers_[1]);
  EXPECT_EQ(response->members(1).endpoint(), peers_[0]);
  EXPECT_EQ(response->members(1).name(), "n0");
  EXPECT_EQ(response->members(2).endpoint(), peers_[2]);
  EXPECT_TRUE(response->members(2).has_last_seen_ms_ago());
}

TEST_F(ServerClusterTest, ValueAtItsCeilingReachesThePeer) {
  StartNodes(2);
  const std::string value(1 << 20, 'v');
  ASSERT_OK(nodes_[0]->Put("key", value));
  ASSERT_TRUE(Eventually([this] { return AllConverged(); }));
  ASSERT_OK_AND_ASSIGN(const v1::GetResponse read, nodes_[1]->Get("key"));
  EXPECT_EQ(read.value(), value);
}

}  // namespace
}  // namespace slipstream::node
