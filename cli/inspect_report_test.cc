#include "cli/inspect_report.h"

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "cli/json.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace slipstream::cli {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

InspectReport SomeReport() {
  InspectReport report{.kind = "segment", .file_bytes = 16384};
  report.header = {{"node_id", InspectId(0xab)}, {"first_lsn", uint64_t{7}}, {"clean", false}};
  report.summary = {{"nothing", {}}};
  InspectTable table{.name = "records", .columns = {"lsn", "tombstone", "tx_id", "key"}};
  table.AddRow({uint64_t{7}, true, {}, InspectKey{"a\tb"}}, 2);
  table.AddRow({uint64_t{10}, false, {}, InspectKey{"\xff"}}, 2);
  table.AddRow({uint64_t{11}, false, {}, InspectKey{"c"}}, 2);
  report.tables.push_back(table);
  return report;
}

TEST(InspectReportTest, ReadsAsText) {
  EXPECT_EQ(InspectText("data/x.log", SomeReport()),
            "data/x.log: segment, 16,384 bytes\n"
            "\n"
            "node id    00000000000000ab\n"
            "first lsn  7\n"
            "clean      no\n"
            "\n"
            "nothing\n"
            "\n"
            "records:\n"
            "LSN  TOMBSTONE  KEY\n"
            "  7  yes        a\\tb\n"
            " 10             \\xff\n"
            "... and 1 more; --limit says how many are shown\n"
            "\n"
            "passes its checks\n");
}

TEST(InspectReportTest, SaysTheSameInJson) {
  EXPECT_EQ(Line(InspectJson("data/x.log", SomeReport())),
            "{\"path\":\"data/x.log\",\"kind\":\"segment\",\"file_bytes\":16384,\"passes\":true,"
            "\"header\":{\"node_id\":\"00000000000000ab\",\"first_lsn\":7,\"clean\":false},"
            "\"summary\":{},"
            "\"records\":[{\"lsn\":7,\"tombstone\":true,\"key\":\"a\\tb\"},"
            "{\"lsn\":10,\"tombstone\":false,\"key\":\"/w==\",\"key_encoding\":\"base64\"}],"
            "\"records_left_out\":1,\"damage\":[]}\n");
}

TEST(InspectReportTest, ShowsDamageWithItsPlace) {
  InspectReport report = SomeReport();
  report.AddDamage(4096, "frame crc");
  report.AddDamage(12288, "record \x1b");
  EXPECT_THAT(InspectText("x", report), EndsWith("\n"
                                                 "damage:\n"
                                                 "OFFSET  WHAT\n"
                                                 "  4096  frame crc\n"
                                                 " 12288  record \\x1b\n"
                                                 "\n"
                                                 "fails 2 checks\n"));
  const Json json = InspectJson("x", report);
  EXPECT_EQ(json["passes"], false);
  EXPECT_EQ(json["damage"][1]["offset"], 12288);
}

TEST(InspectReportTest, CountsDamageBeyondTheBound) {
  InspectReport report;
  for (size_t i = 0; i < kInspectDamageMax + 2; ++i) report.AddDamage(i, "bad");
  EXPECT_EQ(report.damage.size(), kInspectDamageMax);
  EXPECT_EQ(report.damage_left_out, 2u);
  EXPECT_THAT(InspectText("x", report), HasSubstr("... and 2 more\n"));
  EXPECT_THAT(InspectText("x", report), EndsWith("fails 1,002 checks\n"));
  EXPECT_EQ(InspectJson("x", report)["damage_left_out"], 2);
}

TEST(InspectReportTest, LeavesEmptyTablesOutOfTheText) {
  InspectReport report;
  report.tables.push_back({.name = "gaps", .columns = {"first_number"}});
  EXPECT_THAT(InspectText("x", report), Not(HasSubstr("gaps")));
  EXPECT_EQ(InspectJson("x", report)["gaps"], Json::array());
}

}  // namespace
}  // namespace slipstream::cli
