#include "base/digest.h"

#include <string>

#include "absl/strings/string_view.h"
#include "gtest/gtest.h"

namespace slipstream::base {
namespace {

// FIPS 180-2 appendix B, and the well-known digest of nothing.
constexpr absl::string_view kDigestOfAbc =
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
constexpr absl::string_view kDigestOfNothing =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

TEST(DigestTest, MatchesFips180) {
  EXPECT_EQ(ToHex(Sha256("abc")), kDigestOfAbc);
  EXPECT_EQ(ToHex(Sha256("")), kDigestOfNothing);
  EXPECT_EQ(ToHex(Sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST(DigestTest, CarriesNothingFromOneCallToTheNext) {
  EXPECT_EQ(Sha256("first"), Sha256("first"));
  EXPECT_NE(Sha256("first"), Sha256("second"));
  EXPECT_EQ(ToHex(Sha256("abc")), kDigestOfAbc);
}

TEST(DigestTest, TakesTheFirstTwentyBytesForAValue) {
  const Digest whole = Sha256("abc");
  EXPECT_EQ(DigestOfValue("abc").view(), whole.view().substr(0, 20));
}

TEST(DigestTest, ParsesItsOwnHexInEitherCase) {
  Digest digest;
  ASSERT_TRUE(FromHex(kDigestOfAbc, digest));
  EXPECT_EQ(digest, Sha256("abc"));
  ASSERT_TRUE(FromHex("E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855", digest));
  EXPECT_EQ(digest, Sha256(""));
}

TEST(DigestTest, RefusesWhatIsNotSixtyFourHexDigits) {
  Digest digest = Sha256("abc");
  for (const std::string& bad :
       {std::string(), std::string(kDigestOfAbc.substr(1)), std::string(kDigestOfAbc) + "0",
        std::string(63, '0') + "g", std::string(63, '0') + "\n"}) {
    EXPECT_FALSE(FromHex(bad, digest)) << bad;
  }
  EXPECT_EQ(digest, Sha256("abc"));
}

TEST(DigestTest, KnowsZero) {
  EXPECT_TRUE(Digest().is_zero());
  EXPECT_FALSE(Sha256("").is_zero());
}

}  // namespace
}  // namespace slipstream::base
