#include "cli/cluster_report.h"

#include <string>

#include "cli/json.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "slipstream/v1/admin.pb.h"

namespace slipstream::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

v1::RootResponse SomeRoots() {
  v1::RootResponse roots;
  v1::RootResponse::NodeRoot& first = *roots.add_nodes();
  first.set_name("n1");
  first.set_endpoint("127.0.0.1:7401");
  first.set_root(std::string(32, 'A'));
  first.set_key_count(12345);
  first.set_reachable(true);
  v1::RootResponse::NodeRoot& second = *roots.add_nodes();
  second.set_endpoint("127.0.0.1:7402");
  second.set_error("connection refused");
  return roots;
}

TEST(ClusterReportTest, ShowsALineForEachRootAndTheVerdict) {
  EXPECT_EQ(RootTable(SomeRoots()),
            "NODE  ENDPOINT          KEYS  ROOT\n"
            "n1    127.0.0.1:7401  12,345  "
            "4141414141414141414141414141414141414141414141414141414141414141\n"
            "-     127.0.0.1:7402       -  unreachable\n"
            "not converged: 127.0.0.1:7402 does not answer (connection refused); "
            "n1 has root 41414141… (12,345 keys)\n");
}

TEST(ClusterReportTest, KeepsTheShapeOfRootsForScripts) {
  EXPECT_EQ(Line(RootJson(SomeRoots())),
            R"({"converged":false,"nodes":[{"name":"n1","endpoint":"127.0.0.1:7401",)"
            R"("root":"4141414141414141414141414141414141414141414141414141414141414141",)"
            R"("keys":12345,"reachable":true},{"name":"","endpoint":"127.0.0.1:7402","root":"",)"
            R"("keys":0,"reachable":false,"error":"connection refused"}]})"
            "\n");
}

v1::StatusResponse SomeStatus() {
  v1::StatusResponse status;
  status.set_node_name("n1");
  status.set_endpoint("127.0.0.1:7401");
  status.set_node_id(0xabc);
  status.set_actor(0xdef);
  status.set_data_directory("./slipstream-data");
  status.set_io_path("buffered (tmpfs is memory)");
  status.set_read_many("io_uring");
  status.set_sync_policy("always");
  status.set_key_count(12345);
  status.set_tombstone_count(1);
  status.set_segment_count(2);
  status.set_log_bytes(64 << 20);
  status.set_keydir_bytes(1 << 20);
  status.set_tree_bytes(1536);
  status.set_value_cache_bytes(3 << 20);
  status.set_value_cache_hit_count(2000);
  status.set_value_cache_miss_count(1);
  status.set_uptime_ms(200'000);
  status.set_hlc(uint64_t{1'700'000'000'000} << 16 | 3);
  status.set_appended_lsn(1000);
  status.set_durable_lsn(999);
  status.mutable_repair()->set_session_count(2);
  status.mutable_repair()->set_round_trip_count(7);
  status.mutable_repair()->set_metadata_bytes(2048);
  status.mutable_repair()->set_received_record_count(1);
  status.mutable_repair()->set_received_record_bytes(100);
  status.mutable_push()->set_pushed_record_count(5);
  status.set_program_version("0.1.0");
  status.set_raw_value_bytes(3 << 20);
  status.set_stored_value_bytes(1 << 20);
  status.set_memory_bytes(5 << 20);
  status.set_memory_limit_bytes(1 << 30);
  status.set_hot_key_count(12'000);
  status.set_run_count(2);
  status.set_run_entry_count(500);
  status.set_run_bytes(44 << 10);
  status.set_replay_bytes(8 << 20);
  status.set_dead_bytes(8 << 20);
  status.set_compaction_debt_bytes(1 << 20);
  status.set_compacted_segment_count(3);
  status.set_appended_bytes(400);
  status.set_copied_bytes(100);
  status.set_scrubbed_bytes(3 << 20);
  status.set_scrub_pass_count(2);
  status.set_run_memory_bytes(1024);
  status.set_checkpoint_memory_bytes(512);
  status.set_cold_key_count(345);
  v1::MemoryForecast& forecast = *status.mutable_memory_forecast();
  forecast.set_key_count(123'460);
  forecast.set_keydir_bytes_per_key(68);
  forecast.set_run_bytes_per_key(1.64);
  forecast.set_tree_bytes_per_key(2.4);
  forecast.set_keydir_bytes(8 << 20);
  forecast.set_run_memory_bytes(200 << 10);
  forecast.set_tree_bytes(300 << 10);
  forecast.set_value_cache_bytes(64 << 20);
  forecast.set_all_hot_bytes(73 << 20);
  forecast.set_hot_share(1);
  forecast.set_memory_bytes(73 << 20);
  return status;
}

TEST(ClusterReportTest, ShowsTheStatusInUnitsOfPeople) {
  EXPECT_EQ(StatusTable(SomeStatus()),
            "node      n1\n"
            "endpoint  127.0.0.1:7401\n"
            "up        3 min 20 s\n"
            "keys      12,345, and 1 deleted\n"
            "data      ./slipstream-data\n"
            "log       2 segments, 64 MiB; LSN 1,000 written, 999 durable\n"
            "io        buffered (tmpfs is memory)\n"
            "reads     io_uring\n"
            "values    3 MiB written as 1 MiB (33 %)\n"
            "space     8 MiB dead, 1 MiB to be freed, 3 segments compacted, write amplification "
            "1.25\n"
            "scrub     3 MiB read, 2 passes\n"
            "sync      always\n"
            "memory    5 MiB of 1 GiB: KeyDir 1 MiB, Merkle tree 1.5 KiB, value cache 3 MiB, "
            "filters of runs 1 KiB, checkpoint 512 B\n"
            "forecast  at 10 times the keys (123,460): 73 MiB with all of them in memory: KeyDir 8 "
            "MiB, Merkle tree 300 KiB, value cache 64 MiB, filters of runs 200 KiB; the limit of 1 "
            "GiB has room for all\n"
            "index     12,000 keys in memory (68.0 B each), 345 on disk alone; 500 entries in 2 "
            "runs of 44 KiB (1.6 B of memory each); tree 2.4 B a key; a start would read 8 MiB of "
            "the log\n"
            "cache     2,000 hits, 1 miss\n"
            "repair    2 sessions, 7 round trips, 2 KiB of metadata\n"
            "          fetched 1 record (100 B), sent 0 records (0 B)\n"
            "push      sent 5 records, dropped 0, received 0\n"
            "clock     2023-11-14 22:13:20.000 UTC (HLC 018bcfe568000003)\n"
            "ids       node 0000000000000abc, actor 0000000000000def\n"
            "version   0.1.0\n");
}

TEST(ClusterReportTest, SaysWhatTheLimitWillLeaveInMemory) {
  v1::StatusResponse status = SomeStatus();
  status.mutable_memory_forecast()->set_hot_share(0.338);
  EXPECT_THAT(StatusTable(status),
              HasSubstr("200 KiB; the limit of 1 GiB has room for 34 % of the keys\n"));
  status.mutable_memory_forecast()->set_memory_bytes(uint64_t{3} << 30);
  EXPECT_THAT(StatusTable(status), HasSubstr("34 % of the keys, and is too small: at least 3 GiB "
                                             "would be taken\n"));
  status.set_memory_limit_bytes(0);
  EXPECT_THAT(StatusTable(status), HasSubstr("200 KiB\nindex"));
}

TEST(ClusterReportTest, ShowsWhatIsWrongOnlyWhenItIs) {
  v1::StatusResponse status = SomeStatus();
  EXPECT_THAT(StatusTable(status), Not(HasSubstr("damaged")));
  status.set_damaged_key_count(3);
  status.mutable_repair()->set_failed_session_count(4);
  status.mutable_repair()->set_held_back_record_count(5);
  status.set_raw_value_bytes(0);
  status.set_stored_value_bytes(0);
  status.set_failed_segment_count(2);
  status.set_appended_bytes(0);
  status.set_scrub_damaged_count(1);
  status.set_scrub_damaged_key_count(2);
  status.set_tree_difference_count(1);
  status.add_recovery("cut a torn tail");
  status.add_recovery("read 3 segments");
  const std::string table = StatusTable(status);
  EXPECT_THAT(table, HasSubstr("12,345, and 1 deleted, 3 damaged\n"));
  EXPECT_THAT(table, HasSubstr("2 sessions and 4 failed, 7 round trips"));
  EXPECT_THAT(table, HasSubstr("values    0 B written as 0 B\n"));
  EXPECT_THAT(table, HasSubstr("space     8 MiB dead, 1 MiB to be freed, 3 segments compacted, "
                               "2 left alone as damaged\n"));
  EXPECT_THAT(table, HasSubstr("scrub     3 MiB read, 2 passes; damaged: 1 place with 2 keys; 1 "
                               "tree bucket hashed anew\n"));
  EXPECT_THAT(table, HasSubstr("held back 5 from the future\n"));
  EXPECT_THAT(table, HasSubstr("recovery  cut a torn tail\n          read 3 segments\n"));
}

TEST(ClusterReportTest, HasEveryFieldOfTheStatusInJson) {
  const Json json = StatusJson(SomeStatus());
  const auto* descriptor = v1::StatusResponse::descriptor();
  EXPECT_EQ(static_cast<int>(json.size()), descriptor->field_count());
  for (int i = 0; i < descriptor->field_count(); ++i) {
    EXPECT_TRUE(json.contains(descriptor->field(i)->name())) << descriptor->field(i)->name();
  }
  EXPECT_EQ(static_cast<int>(json["repair"].size()), v1::RepairStats::descriptor()->field_count());
  EXPECT_EQ(static_cast<int>(json["push"].size()), v1::PushStats::descriptor()->field_count());
  EXPECT_EQ(static_cast<int>(json["memory_forecast"].size()),
            v1::MemoryForecast::descriptor()->field_count());
  EXPECT_EQ(json["actor"], "0000000000000def");
  EXPECT_EQ(json["hlc"], "018bcfe568000003");
}

v1::MembersResponse SomeMembers() {
  v1::MembersResponse members;
  v1::Member& self = *members.add_members();
  self.set_name("n1");
  self.set_endpoint("127.0.0.1:7401");
  self.set_node_id(1);
  self.set_self(true);
  self.set_reachable(true);
  self.set_last_seen_ms_ago(0);
  self.set_root(std::string(32, 'A'));
  self.set_key_count(7);
  v1::Member& down = *members.add_members();
  down.set_endpoint("127.0.0.1:7402");
  down.set_error("connection refused");
  return members;
}

TEST(ClusterReportTest, ShowsMembersWithALegendAndTotals) {
  EXPECT_EQ(MembersTable(SomeMembers()),
            "    NODE  ENDPOINT        KEYS  ROOT       SEEN\n"
            "U*  n1    127.0.0.1:7401     7  41414141…  now\n"
            "D   -     127.0.0.1:7402     -  -          never: connection refused\n"
            "\n"
            "1 of 2 members up  (U up, D down, * the node that answers; "
            "keys and root as last heard)\n");
}

TEST(ClusterReportTest, KeepsTheShapeOfMembersForScripts) {
  EXPECT_EQ(Line(MembersJson(SomeMembers())),
            R"({"members":[{"name":"n1","endpoint":"127.0.0.1:7401","node_id":"0000000000000001",)"
            R"("self":true,"reachable":true,"last_seen_ms_ago":0,)"
            R"("root":"4141414141414141414141414141414141414141414141414141414141414141",)"
            R"("keys":7,"error":""},{"name":"","endpoint":"127.0.0.1:7402",)"
            R"("node_id":"0000000000000000","self":false,"reachable":false,)"
            R"("last_seen_ms_ago":null,"root":"","keys":0,"error":"connection refused"}]})"
            "\n");
}

}  // namespace
}  // namespace slipstream::cli
