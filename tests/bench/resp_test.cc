#include "tests/bench/resp.h"

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace slipstream::bench {
namespace {

using ::slipstream::base::testing::StatusIs;

constexpr absl::string_view kReplies =
    "+OK\r\n-ERR no\r\n:-12\r\n$5\r\na\r\nbc\r\n$-1\r\n$0\r\n\r\n";

// The replies as text, each with a letter for its kind.
std::vector<std::string> ReadAll(RespReader& reader) {
  std::vector<std::string> replies;
  while (true) {
    const absl::StatusOr<absl::optional<RespReply>> reply = reader.Next();
    if (!reply.ok() || !reply->has_value()) return replies;
    const char kind = "SEIBN"[static_cast<int>((*reply)->kind)];
    replies.push_back(kind + std::string((*reply)->text));
  }
}

TEST(RespTest, ACommandIsAnArrayOfStrings) {
  std::string out = "before";
  AppendRespCommand({"SET", "k", "a\r\nb"}, out);
  EXPECT_EQ(out, "before*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\na\r\nb\r\n");
}

TEST(RespReaderTest, ReadsEachKindOfReply) {
  RespReader reader;
  reader.Append(kReplies);
  EXPECT_THAT(ReadAll(reader),
              ::testing::ElementsAre("SOK", "EERR no", "I-12", "Ba\r\nbc", "N", "B"));
}

TEST(RespReaderTest, RepliesMayComeInPiecesCutAnywhere) {
  for (size_t cut = 0; cut <= kReplies.size(); ++cut) {
    RespReader reader;
    reader.Append(kReplies.substr(0, cut));
    std::vector<std::string> replies = ReadAll(reader);
    reader.Append(kReplies.substr(cut));
    for (const std::string& reply : ReadAll(reader)) replies.push_back(reply);
    EXPECT_THAT(replies, ::testing::ElementsAre("SOK", "EERR no", "I-12", "Ba\r\nbc", "N", "B"))
        << cut;
  }
}

TEST(RespReaderTest, OtherBytesAreRefused) {
  for (const absl::string_view bytes :
       {"\r\n", "OK\r\n", "$x\r\n", "$-2\r\n", "$1\r\nabc", "$9999999999\r\n", "*1\r\n:1\r\n"}) {
    RespReader reader;
    reader.Append(bytes);
    EXPECT_THAT(reader.Next(), StatusIs(absl::StatusCode::kInvalidArgument)) << bytes;
  }
}

}  // namespace
}  // namespace slipstream::bench
