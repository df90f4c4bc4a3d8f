#include "node/log.h"

#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace slipstream::node {
namespace {

TEST(RenderLogLineTest, TextQuotesOnlyWhereItMust) {
  EXPECT_EQ(RenderLogLine(LogFormat::kText, "n1", "started", "listening",
                          {{"address", "127.0.0.1:7400"}, {"path", "/a b"}, {"empty", ""}}),
            R"(node=n1 event=started msg="listening" address=127.0.0.1:7400 path="/a b" empty="")");
}

TEST(RenderLogLineTest, TextKeepsALineBreakInsideItsLine) {
  EXPECT_EQ(RenderLogLine(LogFormat::kText, "n", "e", "one\ntwo", {{"k", "a\nb=\"c\""}}),
            R"(node=n event=e msg="one\ntwo" k="a\nb=\"c\"")");
}

TEST(RenderLogLineTest, JsonIsParsableWhateverTheBytes) {
  const auto line = nlohmann::json::parse(
      "{" + RenderLogLine(LogFormat::kJson, "n\"1", "e", "\xff\n", {{"k", "\x01\\"}}) + "}");
  EXPECT_EQ(line["node"], "n\"1");
  EXPECT_EQ(line["event"], "e");
  EXPECT_EQ(line["msg"], "\xef\xbf\xbd\n");
  EXPECT_EQ(line["k"], "\x01\\");
}

}  // namespace
}  // namespace slipstream::node
