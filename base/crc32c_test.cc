#include "base/crc32c.h"

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "gtest/gtest.h"

namespace slipstream::base {
namespace {

// RFC 3720 appendix B.4.
TEST(Crc32cTest, MatchesTheVectorsOfRfc3720) {
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(Crc32c(std::string(32, '\xff')), 0x62a8ab43u);
  std::string ascending;
  std::string descending;
  for (int i = 0; i < 32; ++i) {
    ascending.push_back(static_cast<char>(i));
    descending.push_back(static_cast<char>(31 - i));
  }
  EXPECT_EQ(Crc32c(ascending), 0x46dd794eu);
  EXPECT_EQ(Crc32c(descending), 0x113fdb5cu);
}

// The check value of the CRC catalogue for CRC-32/ISCSI.
TEST(Crc32cTest, MatchesTheCatalogue) { EXPECT_EQ(Crc32c("123456789"), 0xe3069283u); }

TEST(Crc32cTest, IsZeroForNothing) { EXPECT_EQ(Crc32c(""), 0u); }

TEST(Crc32cTest, ExtendsOverAnySplit) {
  const std::string bytes = "the quick brown fox jumps over the lazy dog";
  for (size_t split = 0; split <= bytes.size(); ++split) {
    const absl::string_view view(bytes);
    EXPECT_EQ(ExtendCrc32c(Crc32c(view.substr(0, split)), view.substr(split)), Crc32c(bytes))
        << "split at " << split;
  }
}

}  // namespace
}  // namespace slipstream::base
