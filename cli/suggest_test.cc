#include "cli/suggest.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace slipstream::cli {
namespace {

TEST(SuggestTest, CountsEdits) {
  EXPECT_EQ(EditDistance("", ""), 0);
  EXPECT_EQ(EditDistance("get", "get"), 0);
  EXPECT_EQ(EditDistance("", "get"), 3);
  EXPECT_EQ(EditDistance("get", ""), 3);
  EXPECT_EQ(EditDistance("gett", "get"), 1);
  EXPECT_EQ(EditDistance("gt", "get"), 1);
  EXPECT_EQ(EditDistance("gat", "get"), 1);
  EXPECT_EQ(EditDistance("kitten", "sitting"), 3);
}

TEST(SuggestTest, CountsASwapOfNeighboursAsOneEdit) {
  EXPECT_EQ(EditDistance("gte", "get"), 1);
  EXPECT_EQ(EditDistance("stauts", "status"), 1);
}

TEST(SuggestTest, FindsTheClosest) {
  const std::vector<std::string> words = {"put", "get", "delete", "scan", "status"};
  EXPECT_EQ(Suggest("gte", words), "get");
  EXPECT_EQ(Suggest("statsu", words), "status");
  EXPECT_EQ(Suggest("delet", words), "delete");
  EXPECT_EQ(Suggest("pt", words), "put");
}

TEST(SuggestTest, KeepsQuietWhenNothingIsClose) {
  const std::vector<std::string> words = {"put", "get", "delete", "scan", "status"};
  EXPECT_EQ(Suggest("compact", words), "");
  EXPECT_EQ(Suggest("x", {"put"}), "");
  EXPECT_EQ(Suggest("put", {}), "");
}

}  // namespace
}  // namespace slipstream::cli
