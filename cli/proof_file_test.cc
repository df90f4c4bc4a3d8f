#include "cli/proof_file.h"

#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_replace.h"
#include "base/digest.h"
#include "base/key_id.h"
#include "base/testing/status_matchers.h"
#include "base/version.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "merkle/leaf.h"
#include "merkle/proof.h"

namespace slipstream::cli {
namespace {

using base::testing::IsOkAndHolds;
using base::testing::StatusIs;
using ::testing::HasSubstr;

ProofFile SomeFile() {
  ProofFile file;
  file.key = "key-1";
  file.root = base::Sha256("root");
  file.presence = merkle::Presence::kPresent;
  file.proof.siblings = {base::Sha256("a"), base::Digest(), base::Sha256("b")};
  file.proof.end = merkle::Leaf{.key_id = base::KeyIdOf("key-1"),
                                .version = {.hlc = 117309440000000000, .actor = base::ActorId{7}},
                                .expires_at_ms = ~uint64_t{0},
                                .value_digest = base::DigestOfValue("v")};
  return file;
}

TEST(ProofFileTest, WritesTheDocumentedFormat) {
  ProofFile file = SomeFile();
  file.proof.siblings = {base::Digest()};
  file.root = base::Digest();
  EXPECT_EQ(FormatProofFile(file), R"({
  "format": "slipstream-proof-1",
  "key": "a2V5LTE=",
  "root": "0000000000000000000000000000000000000000000000000000000000000000",
  "presence": "present",
  "siblings": [
    ""
  ],
  "end": {
    "key_id": "be2974546978e3739e6d6da85c4be9f334ce32df",
    "hlc": "117309440000000000",
    "actor": "0000000000000007",
    "expires_at_ms": 18446744073709551615,
    "value_digest": "4c94485e0c21ae6c41ce1dfe7b6bfaceea5ab68e"
  }
}
)");
}

TEST(ProofFileTest, ReadsWhatItWrites) {
  EXPECT_THAT(ParseProofFile(FormatProofFile(SomeFile())), IsOkAndHolds(SomeFile()));
  ProofFile absent = SomeFile();
  absent.key = std::string("\xff\0x", 3);
  absent.presence = merkle::Presence::kAbsent;
  absent.proof = {};
  EXPECT_THAT(ParseProofFile(FormatProofFile(absent)), IsOkAndHolds(absent));
}

TEST(ProofFileTest, NamesTheFieldThatIsWrong) {
  const std::string good = FormatProofFile(SomeFile());
  const struct {
    const char* from;
    const char* to;
    const char* message;
  } cases[] = {
      {"slipstream-proof-1", "slipstream-proof-2", "\"format\" is not \"slipstream-proof-1\""},
      {"\"format\"", "\"fromat\"", "\"format\" is missing"},
      {"\"a2V5LTE=\"", "17", "\"key\" is not a string"},
      {"a2V5LTE=", "a2V5LTE", "\"key\" is not base64"},
      {"a2V5LTE=", "!!!!", "\"key\" is not base64"},
      {"\"root\": \"", "\"root\": \"00", "\"root\" is not 64 hexadecimal digits"},
      {"\"present\"", "\"maybe\"", "\"presence\" is neither"},
      {"\"siblings\": [", "\"siblings\": [\"12\",", "\"siblings\" [0] is neither"},
      {"\"siblings\": [", "\"siblings\": [12,", "\"siblings\" [0] is neither"},
      {"\"siblings\"", "\"sib\"", "\"siblings\" is not a list"},
      {"\"end\"", "\"and\"", "\"end\" is missing"},
      {"\"end\": {", "\"end\": 1, \"x\": {", "\"end\" is neither"},
      {"117309440000000000", "-1", "\"hlc\" is not a decimal number"},
      {"117309440000000000", "18446744073709551616", "\"hlc\" is not a decimal number"},
      {"117309440000000000", " 1", "\"hlc\" is not a decimal number"},
      {"0000000000000007", "7", "\"actor\" is not 16 hexadecimal digits"},
      {"18446744073709551615", "-1", "\"expires_at_ms\" is not a number"},
      {"18446744073709551615", "1.5", "\"expires_at_ms\" is not a number"},
      {"\"value_digest\": \"4c", "\"value_digest\": \"4g", "\"value_digest\" is not 40"},
  };
  for (const auto& c : cases) {
    const std::string broken = absl::StrReplaceAll(good, {{c.from, c.to}});
    ASSERT_NE(broken, good) << c.from;
    EXPECT_THAT(ParseProofFile(broken), StatusIs(absl::StatusCode::kDataLoss, HasSubstr(c.message)))
        << broken;
  }
}

TEST(ProofFileTest, RefusesWhatIsNoJson) {
  const std::string good = FormatProofFile(SomeFile());
  for (const std::string& text : {std::string(), std::string("null"), std::string("[1]"),
                                  good.substr(0, good.size() / 2), good + "x"}) {
    EXPECT_THAT(ParseProofFile(text), StatusIs(absl::StatusCode::kDataLoss)) << text;
  }
}

TEST(ProofFileTest, TakesAsManySiblingsAsAKeyIdHasBits) {
  ProofFile file = SomeFile();
  file.proof.siblings.assign(160, base::Sha256("s"));
  EXPECT_THAT(ParseProofFile(FormatProofFile(file)), IsOkAndHolds(file));
  file.proof.siblings.push_back(base::Sha256("s"));
  EXPECT_THAT(ParseProofFile(FormatProofFile(file)),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("has 161 entries")));
}

}  // namespace
}  // namespace slipstream::cli
