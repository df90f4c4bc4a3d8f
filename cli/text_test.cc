#include "cli/text.h"

#include <string>

#include "absl/strings/string_view.h"
#include "gtest/gtest.h"

namespace slipstream::cli {
namespace {

TEST(TextTest, TellsUtf8FromOtherBytes) {
  for (const char* text : {"", "a", "é", "€", "😀", "\x7f", "\xed\x9f\xbf", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_TRUE(IsUtf8(text)) << text;
  }
  EXPECT_TRUE(IsUtf8(absl::string_view("a\0b", 3)));
  const char* broken[] = {
      "\x80",              // A continuation alone.
      "\xc3",              // Cut short.
      "\xe2\x82",          // Cut short.
      "\xc0\xaf",          // Overlong.
      "\xe0\x80\xaf",      // Overlong.
      "\xf0\x80\x80\xaf",  // Overlong.
      "\xed\xa0\x80",      // A surrogate.
      "\xf4\x90\x80\x80",  // Beyond U+10FFFF.
      "\xf5\x80\x80\x80",  // Never used.
      "\xff",              // Never used.
      "ok\xe2\x28\xa1",    // No continuation.
      "\xf0\x9f\x98\x41",  // No continuation at the end.
  };
  for (const char* text : broken) EXPECT_FALSE(IsUtf8(text)) << Escape(text);
}

TEST(TextTest, CountsCodePoints) {
  EXPECT_EQ(ColumnCount(""), 0);
  EXPECT_EQ(ColumnCount("4f2a…"), 5);
}

TEST(TextTest, EscapesWhatCouldSteerATerminal) {
  EXPECT_EQ(Escape("plain é"), "plain é");
  EXPECT_EQ(Escape("a\tb\nc\rd"), "a\\tb\\nc\\rd");
  EXPECT_EQ(Escape("\x1b[2J\x7f"), "\\x1b[2J\\x7f");
  EXPECT_EQ(Escape("\xc2\x9b"
                   "2J"),
            "\\xc2\\x9b2J");
  EXPECT_EQ(Escape("\xff\\"), "\\xff\\\\");
  EXPECT_EQ(Escape(absl::string_view("\0", 1)), "\\x00");
}

TEST(TextTest, QuotesAndCutsLongBytesBetweenCharacters) {
  EXPECT_EQ(Quote("a\n"), "\"a\\n\"");
  EXPECT_EQ(Quote(std::string(60, 'a')), "\"" + std::string(60, 'a') + "\"");
  EXPECT_EQ(Quote(std::string(61, 'a')), "\"" + std::string(60, 'a') + "…\" (61 bytes)");
  EXPECT_EQ(Quote(std::string(59, 'a') + "éb"), "\"" + std::string(59, 'a') + "é…\" (62 bytes)");
}

TEST(TextTest, FormatsCounts) {
  EXPECT_EQ(FormatCount(0), "0");
  EXPECT_EQ(FormatCount(999), "999");
  EXPECT_EQ(FormatCount(1000), "1,000");
  EXPECT_EQ(FormatCount(1234567), "1,234,567");
  EXPECT_EQ(FormatCount(1, "key", "keys"), "1 key");
  EXPECT_EQ(FormatCount(0, "key", "keys"), "0 keys");
}

TEST(TextTest, FormatsBytes) {
  EXPECT_EQ(FormatBytes(0), "0 B");
  EXPECT_EQ(FormatBytes(1023), "1023 B");
  EXPECT_EQ(FormatBytes(1024), "1 KiB");
  EXPECT_EQ(FormatBytes(1536), "1.5 KiB");
  EXPECT_EQ(FormatBytes(1048575), "1 MiB");
  EXPECT_EQ(FormatBytes(64 << 20), "64 MiB");
  EXPECT_EQ(FormatBytes(~uint64_t{0}), "16 EiB");
}

}  // namespace
}  // namespace slipstream::cli
