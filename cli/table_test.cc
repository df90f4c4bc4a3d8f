#include "cli/table.h"

#include "gtest/gtest.h"

namespace slipstream::cli {
namespace {

using Align = Table::Align;

TEST(TableTest, AlignsColumnsByCharactersNotBytes) {
  Table table({{"NODE"}, {"KEYS", Align::kRight}, {"ROOT"}});
  table.AddRow({"n1", "12,345", "4f2a…"});
  table.AddRow({"número", "7", "-"});
  EXPECT_EQ(table.Render(),
            "NODE      KEYS  ROOT\n"
            "n1      12,345  4f2a…\n"
            "número       7  -\n");
}

TEST(TableTest, LeavesOutEmptyTitlesAndTrailingSpaces) {
  Table table({{}, {}});
  table.AddRow({"keys", "12"});
  table.AddRow({"log", ""});
  EXPECT_EQ(table.Render(), "keys  12\nlog\n");
}

TEST(TableTest, ShowsTitlesWithoutRows) { EXPECT_EQ(Table({{"A"}, {"B"}}).Render(), "A  B\n"); }

}  // namespace
}  // namespace slipstream::cli
