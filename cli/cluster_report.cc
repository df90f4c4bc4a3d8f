#include "cli/cluster_report.h"

#include <cstdint>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/version.h"
#include "cli/connection_error.h"
#include "cli/duration.h"
#include "cli/json.h"
#include "cli/table.h"
#include "cli/text.h"
#include "cli/verdict.h"
#include "slipstream/v1/admin.pb.h"

namespace slipstream::cli {
namespace {

using Align = Table::Align;

constexpr absl::string_view kNothing = "-";

std::string Hex(uint64_t number) { return absl::StrFormat("%016x", number); }

std::string OrNothing(absl::string_view text) { return Escape(text.empty() ? kNothing : text); }

// "fetched 1,000 records (64 KiB)"
std::string DescribeRecords(absl::string_view verb, uint64_t count, uint64_t bytes) {
  return absl::StrCat(verb, " ", FormatCount(count, "record", "records"), " (", FormatBytes(bytes),
                      ")");
}

std::string DescribeKeys(const v1::StatusResponse& status) {
  std::string text = absl::StrCat(FormatCount(status.key_count()), ", and ",
                                  FormatCount(status.tombstone_count()), " deleted");
  if (status.damaged_key_count() > 0) {
    absl::StrAppend(&text, ", ", FormatCount(status.damaged_key_count()), " damaged");
  }
  return text;
}

std::string DescribeLog(const v1::StatusResponse& status) {
  return absl::StrCat(FormatCount(status.segment_count(), "segment", "segments"), ", ",
                      FormatBytes(status.log_bytes()), "; LSN ", FormatCount(status.appended_lsn()),
                      " written, ", FormatCount(status.durable_lsn()), " durable");
}

// "3 MiB written as 1 MiB (33 %)"
std::string DescribeValues(const v1::StatusResponse& status) {
  std::string text = absl::StrCat(FormatBytes(status.raw_value_bytes()), " written as ",
                                  FormatBytes(status.stored_value_bytes()));
  if (status.raw_value_bytes() > 0) {
    const double ratio = static_cast<double>(status.stored_value_bytes()) /
                         static_cast<double>(status.raw_value_bytes());
    absl::StrAppendFormat(&text, " (%.0f %%)", 100 * ratio);
  }
  return text;
}

// "8 MiB dead, 1 MiB to be freed, 3 segments compacted, write amplification 1.25"
std::string DescribeSpace(const v1::StatusResponse& status) {
  std::string text = absl::StrCat(
      FormatBytes(status.dead_bytes()), " dead, ", FormatBytes(status.compaction_debt_bytes()),
      " to be freed, ", FormatCount(status.compacted_segment_count(), "segment", "segments"),
      " compacted");
  if (status.failed_segment_count() > 0) {
    absl::StrAppend(&text, ", ", FormatCount(status.failed_segment_count()),
                    " left alone as damaged");
  }
  if (status.appended_bytes() > 0) {
    const double amplification =
        static_cast<double>(status.appended_bytes() + status.copied_bytes()) /
        static_cast<double>(status.appended_bytes());
    absl::StrAppendFormat(&text, ", write amplification %.2f", amplification);
  }
  return text;
}

// "3 MiB read, 2 passes; damaged: 1 place with 1 key; 1 tree bucket hashed anew"
std::string DescribeScrub(const v1::StatusResponse& status) {
  std::string text = absl::StrCat(FormatBytes(status.scrubbed_bytes()), " read, ",
                                  FormatCount(status.scrub_pass_count(), "pass", "passes"));
  if (status.scrub_damaged_count() + status.scrub_damaged_key_count() > 0) {
    absl::StrAppend(&text,
                    "; damaged: ", FormatCount(status.scrub_damaged_count(), "place", "places"),
                    " with ", FormatCount(status.scrub_damaged_key_count(), "key", "keys"));
  }
  if (status.tree_difference_count() > 0) {
    absl::StrAppend(&text, "; ",
                    FormatCount(status.tree_difference_count(), "tree bucket", "tree buckets"),
                    " hashed anew");
  }
  return text;
}

std::string DescribeMemory(const v1::StatusResponse& status) {
  return absl::StrCat(
      FormatBytes(status.memory_bytes()), " of ",
      status.memory_limit_bytes() == 0 ? "no limit" : FormatBytes(status.memory_limit_bytes()),
      ": KeyDir ", FormatBytes(status.keydir_bytes()), ", Merkle tree ",
      FormatBytes(status.tree_bytes()), ", value cache ", FormatBytes(status.value_cache_bytes()),
      ", filters of runs ", FormatBytes(status.run_memory_bytes()), ", checkpoint ",
      FormatBytes(status.checkpoint_memory_bytes()));
}

std::string DescribeForecast(const v1::StatusResponse& status) {
  const v1::MemoryForecast& forecast = status.memory_forecast();
  std::string text = absl::StrCat(
      "at 10 times the keys (", FormatCount(forecast.key_count()),
      "): ", FormatBytes(forecast.all_hot_bytes()), " with all of them in memory: KeyDir ",
      FormatBytes(forecast.keydir_bytes()), ", Merkle tree ", FormatBytes(forecast.tree_bytes()),
      ", value cache ", FormatBytes(forecast.value_cache_bytes()), ", filters of runs ",
      FormatBytes(forecast.run_memory_bytes()));
  if (status.memory_limit_bytes() == 0) return text;
  const std::string limit = FormatBytes(status.memory_limit_bytes());
  if (forecast.hot_share() >= 1) {
    absl::StrAppend(&text, "; the limit of ", limit, " has room for all");
  } else {
    absl::StrAppendFormat(&text, "; the limit of %s has room for %.0f %% of the keys", limit,
                          100 * forecast.hot_share());
  }
  if (forecast.memory_bytes() > status.memory_limit_bytes()) {
    absl::StrAppend(&text, ", and is too small: at least ", FormatBytes(forecast.memory_bytes()),
                    " would be taken");
  }
  return text;
}

// "12 keys in memory (68.0 B each), 345 on disk alone; 500 entries in 2 runs of 44 KiB (1.6 B of
// memory each); tree 2.4 B a key; a start would read 8 MiB of the log"
std::string DescribeIndex(const v1::StatusResponse& status) {
  const v1::MemoryForecast& forecast = status.memory_forecast();
  return absl::StrCat(
      FormatCount(status.hot_key_count(), "key", "keys"), " in memory (",
      absl::StrFormat("%.1f B each", forecast.keydir_bytes_per_key()), "), ",
      FormatCount(status.cold_key_count()), " on disk alone; ",
      FormatCount(status.run_entry_count(), "entry", "entries"), " in ",
      FormatCount(status.run_count(), "run", "runs"), " of ", FormatBytes(status.run_bytes()),
      absl::StrFormat(" (%.1f B of memory each); tree %.1f B a key; a start would read ",
                      forecast.run_bytes_per_key(), forecast.tree_bytes_per_key()),
      FormatBytes(status.replay_bytes()), " of the log");
}

std::string DescribeClock(base::Hlc hlc) {
  const absl::Time time = base::TimeFromHlc(hlc);
  return absl::StrCat(absl::FormatTime("%Y-%m-%d %H:%M:%E3S UTC", time, absl::UTCTimeZone()),
                      " (HLC ", Hex(hlc), ")");
}

void AddRepairRows(const v1::RepairStats& repair, Table& table) {
  std::string sessions = FormatCount(repair.session_count(), "session", "sessions");
  if (repair.failed_session_count() > 0) {
    absl::StrAppend(&sessions, " and ", FormatCount(repair.failed_session_count()), " failed");
  }
  table.AddRow(
      {"repair", absl::StrCat(sessions, ", ",
                              FormatCount(repair.round_trip_count(), "round trip", "round trips"),
                              ", ", FormatBytes(repair.metadata_bytes()), " of metadata")});
  std::string records = absl::StrCat(
      DescribeRecords("fetched", repair.received_record_count(), repair.received_record_bytes()),
      ", ", DescribeRecords("sent", repair.sent_record_count(), repair.sent_record_bytes()));
  if (repair.held_back_record_count() > 0) {
    absl::StrAppend(&records, ", held back ", FormatCount(repair.held_back_record_count()),
                    " from the future");
  }
  table.AddRow({"", records});
}

Json RepairJson(const v1::RepairStats& repair) {
  Json json;
  json["session_count"] = repair.session_count();
  json["failed_session_count"] = repair.failed_session_count();
  json["round_trip_count"] = repair.round_trip_count();
  json["metadata_bytes"] = repair.metadata_bytes();
  json["received_record_count"] = repair.received_record_count();
  json["received_record_bytes"] = repair.received_record_bytes();
  json["sent_record_count"] = repair.sent_record_count();
  json["sent_record_bytes"] = repair.sent_record_bytes();
  json["held_back_record_count"] = repair.held_back_record_count();
  return json;
}

Json ForecastJson(const v1::MemoryForecast& forecast) {
  Json json;
  json["key_count"] = forecast.key_count();
  json["keydir_bytes_per_key"] = forecast.keydir_bytes_per_key();
  json["run_bytes_per_key"] = forecast.run_bytes_per_key();
  json["tree_bytes_per_key"] = forecast.tree_bytes_per_key();
  json["keydir_bytes"] = forecast.keydir_bytes();
  json["run_memory_bytes"] = forecast.run_memory_bytes();
  json["tree_bytes"] = forecast.tree_bytes();
  json["value_cache_bytes"] = forecast.value_cache_bytes();
  json["all_hot_bytes"] = forecast.all_hot_bytes();
  json["hot_share"] = forecast.hot_share();
  json["memory_bytes"] = forecast.memory_bytes();
  return json;
}

Json PushJson(const v1::PushStats& push) {
  Json json;
  json["pushed_record_count"] = push.pushed_record_count();
  json["dropped_record_count"] = push.dropped_record_count();
  json["received_record_count"] = push.received_record_count();
  return json;
}

std::string DescribeState(const v1::Member& member) {
  return absl::StrCat(member.reachable() ? "U" : "D", member.self() ? "*" : "");
}

std::string DescribeSeen(const v1::Member& member) {
  if (member.self()) return "now";
  std::string text = "never";
  if (member.has_last_seen_ms_ago()) {
    const absl::Duration ago = absl::Milliseconds(static_cast<int64_t>(member.last_seen_ms_ago()));
    text = absl::StrCat(DescribeDuration(ago), " ago");
  }
  if (!member.error().empty()) {
    absl::StrAppend(&text, ": ", ExplainConnectionFailure(member.error()));
  }
  return text;
}

}  // namespace

std::string RootTable(const v1::RootResponse& roots) {
  Table table({{"NODE"}, {"ENDPOINT"}, {"KEYS", Align::kRight}, {"ROOT"}});
  for (const v1::RootResponse::NodeRoot& node : roots.nodes()) {
    if (node.reachable()) {
      table.AddRow({OrNothing(node.name()), Escape(node.endpoint()), FormatCount(node.key_count()),
                    absl::BytesToHexString(node.root())});
    } else {
      table.AddRow(
          {OrNothing(node.name()), Escape(node.endpoint()), std::string(kNothing), "unreachable"});
    }
  }
  return absl::StrCat(table.Render(), Judge(roots).text, "\n");
}

Json RootJson(const v1::RootResponse& roots) {
  Json json;
  json["converged"] = Judge(roots).converged;
  json["nodes"] = Json::array();
  for (const v1::RootResponse::NodeRoot& node : roots.nodes()) {
    Json member;
    member["name"] = node.name();
    member["endpoint"] = node.endpoint();
    member["root"] = absl::BytesToHexString(node.root());
    member["keys"] = node.key_count();
    member["reachable"] = node.reachable();
    if (!node.reachable()) member["error"] = node.error();
    json["nodes"].push_back(member);
  }
  return json;
}

std::string StatusTable(const v1::StatusResponse& status) {
  Table table({{}, {}});
  table.AddRow({"node", Escape(status.node_name())});
  table.AddRow({"endpoint", Escape(status.endpoint())});
  const absl::Duration uptime = absl::Milliseconds(static_cast<int64_t>(status.uptime_ms()));
  table.AddRow({"up", DescribeDuration(uptime)});
  table.AddRow({"keys", DescribeKeys(status)});
  table.AddRow({"data", Escape(status.data_directory())});
  table.AddRow({"log", DescribeLog(status)});
  table.AddRow({"io", Escape(status.io_path())});
  table.AddRow({"reads", Escape(status.read_many())});
  table.AddRow({"values", DescribeValues(status)});
  table.AddRow({"space", DescribeSpace(status)});
  table.AddRow({"scrub", DescribeScrub(status)});
  table.AddRow({"sync", Escape(status.sync_policy())});
  table.AddRow({"memory", DescribeMemory(status)});
  table.AddRow({"forecast", DescribeForecast(status)});
  table.AddRow({"index", DescribeIndex(status)});
  table.AddRow(
      {"cache", absl::StrCat(FormatCount(status.value_cache_hit_count(), "hit", "hits"), ", ",
                             FormatCount(status.value_cache_miss_count(), "miss", "misses"))});
  AddRepairRows(status.repair(), table);
  const v1::PushStats& push = status.push();
  table.AddRow(
      {"push", absl::StrCat("sent ", FormatCount(push.pushed_record_count(), "record", "records"),
                            ", dropped ", FormatCount(push.dropped_record_count()), ", received ",
                            FormatCount(push.received_record_count()))});
  table.AddRow({"clock", DescribeClock(status.hlc())});
  table.AddRow(
      {"ids", absl::StrCat("node ", Hex(status.node_id()), ", actor ", Hex(status.actor()))});
  absl::string_view title = "recovery";
  for (const std::string& line : status.recovery()) {
    table.AddRow({std::string(title), Escape(line)});
    title = "";
  }
  table.AddRow({"version", Escape(status.program_version())});
  return table.Render();
}

Json StatusJson(const v1::StatusResponse& status) {
  Json json;
  json["node_name"] = status.node_name();
  json["endpoint"] = status.endpoint();
  json["node_id"] = Hex(status.node_id());
  json["actor"] = Hex(status.actor());
  json["data_directory"] = status.data_directory();
  json["io_path"] = status.io_path();
  json["read_many"] = status.read_many();
  json["sync_policy"] = status.sync_policy();
  json["key_count"] = status.key_count();
  json["tombstone_count"] = status.tombstone_count();
  json["damaged_key_count"] = status.damaged_key_count();
  json["segment_count"] = status.segment_count();
  json["log_bytes"] = status.log_bytes();
  json["keydir_bytes"] = status.keydir_bytes();
  json["value_cache_bytes"] = status.value_cache_bytes();
  json["value_cache_hit_count"] = status.value_cache_hit_count();
  json["value_cache_miss_count"] = status.value_cache_miss_count();
  json["tree_bytes"] = status.tree_bytes();
  json["uptime_ms"] = status.uptime_ms();
  json["hlc"] = Hex(status.hlc());
  json["appended_lsn"] = status.appended_lsn();
  json["durable_lsn"] = status.durable_lsn();
  json["recovery"] = Json::array();
  for (const std::string& line : status.recovery()) json["recovery"].push_back(line);
  json["repair"] = RepairJson(status.repair());
  json["push"] = PushJson(status.push());
  json["program_version"] = status.program_version();
  json["raw_value_bytes"] = status.raw_value_bytes();
  json["stored_value_bytes"] = status.stored_value_bytes();
  json["memory_bytes"] = status.memory_bytes();
  json["memory_limit_bytes"] = status.memory_limit_bytes();
  json["run_memory_bytes"] = status.run_memory_bytes();
  json["checkpoint_memory_bytes"] = status.checkpoint_memory_bytes();
  json["cold_key_count"] = status.cold_key_count();
  json["hot_key_count"] = status.hot_key_count();
  json["run_count"] = status.run_count();
  json["run_entry_count"] = status.run_entry_count();
  json["run_bytes"] = status.run_bytes();
  json["replay_bytes"] = status.replay_bytes();
  json["dead_bytes"] = status.dead_bytes();
  json["compaction_debt_bytes"] = status.compaction_debt_bytes();
  json["compacted_segment_count"] = status.compacted_segment_count();
  json["failed_segment_count"] = status.failed_segment_count();
  json["appended_bytes"] = status.appended_bytes();
  json["copied_bytes"] = status.copied_bytes();
  json["scrubbed_bytes"] = status.scrubbed_bytes();
  json["scrub_pass_count"] = status.scrub_pass_count();
  json["scrub_damaged_count"] = status.scrub_damaged_count();
  json["scrub_damaged_key_count"] = status.scrub_damaged_key_count();
  json["tree_difference_count"] = status.tree_difference_count();
  json["memory_forecast"] = ForecastJson(status.memory_forecast());
  return json;
}

std::string MembersTable(const v1::MembersResponse& members) {
  Table table({{""}, {"NODE"}, {"ENDPOINT"}, {"KEYS", Align::kRight}, {"ROOT"}, {"SEEN"}});
  uint64_t up_count = 0;
  for (const v1::Member& member : members.members()) {
    up_count += member.reachable() ? 1 : 0;
    const bool heard = !member.root().empty();
    table.AddRow({DescribeState(member), OrNothing(member.name()), Escape(member.endpoint()),
                  heard ? FormatCount(member.key_count()) : std::string(kNothing),
                  heard ? ShortRoot(member.root()) : std::string(kNothing), DescribeSeen(member)});
  }
  return absl::StrCat(
      table.Render(), "\n", FormatCount(up_count), " of ",
      FormatCount(static_cast<uint64_t>(members.members_size()), "member", "members"),
      " up  (U up, D down, * the node that answers; keys and root as last heard)\n");
}

Json MembersJson(const v1::MembersResponse& members) {
  Json json;
  json["members"] = Json::array();
  for (const v1::Member& member : members.members()) {
    Json one;
    one["name"] = member.name();
    one["endpoint"] = member.endpoint();
    one["node_id"] = Hex(member.node_id());
    one["self"] = member.self();
    one["reachable"] = member.reachable();
    one["last_seen_ms_ago"] =
        member.has_last_seen_ms_ago() ? Json(member.last_seen_ms_ago()) : Json();
    one["root"] = absl::BytesToHexString(member.root());
    one["keys"] = member.key_count();
    one["error"] = member.error();
    json["members"].push_back(one);
  }
  return json;
}

}  // namespace slipstream::cli
