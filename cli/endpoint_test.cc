#include "cli/endpoint.h"

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace slipstream::cli {
namespace {

using base::testing::IsOkAndHolds;
using base::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(EndpointTest, ParsesOneAndSeveral) {
  EXPECT_THAT(ParseEndpoints("127.0.0.1:7400"), IsOkAndHolds(ElementsAre("127.0.0.1:7400")));
  EXPECT_THAT(ParseEndpoints("a:1, b:65535,[::1]:7400"),
              IsOkAndHolds(ElementsAre("a:1", "b:65535", "[::1]:7400")));
}

TEST(EndpointTest, CountsARepeatedOneOnce) {
  EXPECT_THAT(ParseEndpoints("a:1,b:1,a:1"), IsOkAndHolds(ElementsAre("a:1", "b:1")));
}

TEST(EndpointTest, NamesThePartThatIsWrong) {
  const struct {
    const char* text;
    const char* message;
  } cases[] = {
      {"", "\"\" has no port"},          {"a:1,", "\"\" has no port"},
      {"a:1,b", "\"b\" has no port"},    {":7400", "\":7400\" has no host"},
      {"a:", "has no valid port"},       {"a:0", "has no valid port"},
      {"a:65536", "has no valid port"},  {"a:+1", "has no valid port"},
      {"::1:7400", "is not an address"}, {"http://a:7400", "is not an address"},
  };
  for (const auto& c : cases) {
    EXPECT_THAT(ParseEndpoints(c.text),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(c.message)))
        << c.text;
  }
}

}  // namespace
}  // namespace slipstream::cli
