#include "node/endpoint.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace slipstream::node {
namespace {

using base::testing::IsOkAndHolds;
using base::testing::StatusIs;
using ::testing::HasSubstr;

TEST(ParseEndpointTest, ReadsNamesAndAddresses) {
  EXPECT_THAT(ParseEndpoint("node-1.example:7400"),
              IsOkAndHolds(Endpoint{.host = "node-1.example", .port = 7400}));
  EXPECT_THAT(ParseEndpoint("127.0.0.1:0"), IsOkAndHolds(Endpoint{.host = "127.0.0.1"}));
  EXPECT_THAT(ParseEndpoint("[::1]:65535"), IsOkAndHolds(Endpoint{.host = "::1", .port = 65535}));
}

TEST(ParseEndpointTest, ToStringReadsBack) {
  for (const char* text : {"a:1", "127.0.0.1:7400", "[fe80::1%eth0]:7400"}) {
    ASSERT_OK_AND_ASSIGN(const Endpoint endpoint, ParseEndpoint(text));
    EXPECT_EQ(ToString(endpoint), text);
  }
}

TEST(ParseEndpointTest, SaysWhatIsWrong) {
  const auto expect = [](const std::string& text, const std::string& what) {
    EXPECT_THAT(ParseEndpoint(text), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(what)));
  };
  expect("localhost", "\"localhost\": has no port");
  expect("", "has no port");
  expect(":7400", "has no host");
  expect("a:", "the port is no number");
  expect("a:65536", "the port is no number");
  expect("a:-1", "the port is no number");
  expect("a:+1", "the port is no number");
  expect("a:99999999999", "the port is no number");
  expect("a b:1", "neither a name nor an address");
  expect("http://a:1", "an IPv6 address stands in brackets");
  expect("::1:7400", "an IPv6 address stands in brackets");
  expect("[a]:1", "no IPv6 address");
  expect(std::string(254, 'a') + ":1", "neither a name nor an address");
}

TEST(ReachOfTest, TellsLoopbackFromTheRest) {
  EXPECT_THAT(ReachOf("127.0.0.1"), IsOkAndHolds(Reach::kLoopback));
  EXPECT_THAT(ReachOf("127.8.9.1"), IsOkAndHolds(Reach::kLoopback));
  EXPECT_THAT(ReachOf("::1"), IsOkAndHolds(Reach::kLoopback));
  EXPECT_THAT(ReachOf("0.0.0.0"), IsOkAndHolds(Reach::kNetwork));
  EXPECT_THAT(ReachOf("::"), IsOkAndHolds(Reach::kNetwork));
  EXPECT_THAT(ReachOf("192.0.2.1"), IsOkAndHolds(Reach::kNetwork));
}

TEST(WhyNotListenTest, NamesAPortInUse) {
  const int socket_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_GE(socket_fd, 0);
  const absl::Cleanup close_socket = [socket_fd] { close(socket_fd); };
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  ASSERT_EQ(bind(socket_fd, reinterpret_cast<sockaddr*>(&address), length), 0);
  ASSERT_EQ(listen(socket_fd, 1), 0);
  ASSERT_EQ(getsockname(socket_fd, reinterpret_cast<sockaddr*>(&address), &length), 0);
  EXPECT_THAT(WhyNotListen({.host = "127.0.0.1", .port = ntohs(address.sin_port)}),
              StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("in use")));
}

TEST(WhyNotListenTest, FindsNothingWrongWithAFreePort) {
  EXPECT_OK(WhyNotListen({.host = "127.0.0.1", .port = 0}));
}

TEST(WhyNotListenTest, NamesAnAddressOfAnotherMachine) {
  EXPECT_THAT(WhyNotListen({.host = "192.0.2.1", .port = 0}),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("no such address")));
}

}  // namespace
}  // namespace slipstream::node
