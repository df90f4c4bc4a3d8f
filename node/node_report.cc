#include "node/node_report.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "base/digest.h"
#include "base/program_version.h"
#include "node/real_clock.h"
#include "storage/engine.h"
#include "storage/file_system.h"
#include "storage/memory_budget.h"
#include "storage/options.h"

namespace slipstream::node {
namespace {

v1::RepairStats ToProto(const RepairStats& stats) {
  v1::RepairStats message;
  message.set_session_count(stats.session_count);
  message.set_failed_session_count(stats.failed_session_count);
  message.set_round_trip_count(stats.round_trip_count);
  message.set_metadata_bytes(stats.metadata_bytes);
  message.set_received_record_count(stats.received_record_count);
  message.set_received_record_bytes(stats.received_record_bytes);
  message.set_sent_record_count(stats.sent_record_count);
  message.set_sent_record_bytes(stats.sent_record_bytes);
  message.set_held_back_record_count(stats.held_back_record_count);
  return message;
}

v1::PushStats ToProto(const PushStats& stats) {
  v1::PushStats message;
  message.set_pushed_record_count(stats.pushed_record_count);
  message.set_dropped_record_count(stats.dropped_record_count);
  message.set_received_record_count(stats.received_record_count);
  return message;
}

v1::Member ReportMember(const MemberState& member, absl::Time now) {
  v1::Member message;
  message.set_endpoint(member.endpoint);
  message.set_reachable(member.reachable);
  if (member.last_seen.has_value()) {
    const absl::Duration ago = std::max(now - *member.last_seen, absl::ZeroDuration());
    message.set_last_seen_ms_ago(absl::ToInt64Milliseconds(ago));
  }
  if (member.summary.has_value()) {
    message.set_name(member.summary->name);
    message.set_node_id(member.summary->node_id);
    message.set_root(std::string(member.summary->root.view()));
    message.set_key_count(member.summary->key_count);
  }
  // A peer that answers but cannot be repaired is worth a word too.
  const absl::Status& error = member.error.ok() ? member.repair_error : member.error;
  if (!error.ok())
    message.set_error(absl::Utf8SafeCHexEscape(error.ToString(absl::StatusToStringMode::kDefault)));
  return message;
}

// Ten times the keys of now.
constexpr uint64_t kForecastFactor = 10;

v1::MemoryForecast ForecastMemory(const storage::EngineStats& stats, uint64_t live_key_count,
                                  Replica& replica) {
  const storage::MemoryUse use{.key_count = live_key_count + stats.tombstone_count,
                               .hot_key_count = stats.live_key_count + stats.tombstone_count,
                               .keydir_bytes = stats.keydir_bytes,
                               .run_entry_count = stats.run_entry_count,
                               .run_memory_bytes = stats.run_memory_bytes,
                               .tree_key_count = replica.tree().leaf_count(),
                               .tree_bytes = replica.tree().memory_bytes()};
  const storage::Options& options = replica.options().storage;
  const storage::MemoryForecast forecast =
      storage::ForecastMemory(use,
                              {.limit_bytes = options.memory_limit_bytes,
                               .value_cache_bytes = options.value_cache_bytes,
                               .buffer_bytes = 2 * options.unflushed_bytes_max},
                              kForecastFactor);
  const storage::BytesPerKey per_key = storage::MeasureBytesPerKey(use);
  v1::MemoryForecast message;
  message.set_key_count(forecast.key_count);
  message.set_keydir_bytes_per_key(per_key.keydir);
  message.set_run_bytes_per_key(per_key.runs);
  message.set_tree_bytes_per_key(per_key.tree);
  message.set_keydir_bytes(forecast.keydir_bytes);
  message.set_run_memory_bytes(forecast.run_memory_bytes);
  message.set_tree_bytes(forecast.tree_bytes);
  message.set_value_cache_bytes(forecast.value_cache_bytes);
  message.set_all_hot_bytes(forecast.all_hot_bytes);
  message.set_hot_share(forecast.hot_share);
  message.set_memory_bytes(forecast.memory_bytes);
  return message;
}

std::string InWords(const storage::DamagedRange& range) {
  return absl::StrFormat(
      "segment %d, bytes %d to %d, were damaged: records %d to %d are lost but for %d that could "
      "be saved (%s)",
      range.segment_number, range.first_offset, range.end_offset, range.first_lsn, range.last_lsn,
      range.salvaged_count, range.cause);
}

}  // namespace

v1::StatusResponse ReportStatus(const Serving& serving) {
  Replica& replica = *serving.replica;
  storage::Engine& engine = replica.engine();
  const storage::EngineStats stats = engine.stats();
  v1::StatusResponse message;
  message.set_node_name(replica.options().name);
  message.set_endpoint(serving.listen_address->Get());
  message.set_node_id(engine.node_id());
  message.set_actor(static_cast<uint64_t>(engine.actor()));
  // Any bytes may stand in a path; a Protobuf string holds UTF-8 only.
  message.set_data_directory(absl::Utf8SafeCHexEscape(serving.data_directory));
  message.set_sync_policy(std::string(SyncPolicyName(replica.options().storage.sync)));
  // The tree counts those on disk too, as of when it was last settled.
  const uint64_t key_count = stats.complete
                                 ? stats.live_key_count
                                 : std::max(replica.tree().leaf_count(), stats.live_key_count);
  message.set_key_count(key_count);
  message.set_cold_key_count(key_count - stats.live_key_count);
  message.set_tombstone_count(stats.tombstone_count);
  message.set_damaged_key_count(stats.damaged_key_count);
  message.set_segment_count(stats.segment_count);
  message.set_log_bytes(stats.log_bytes);
  message.set_keydir_bytes(stats.keydir_bytes);
  message.set_io_path(storage::DescribeIoPath(stats.io_path));
  message.set_read_many(stats.read_many);
  message.set_value_cache_bytes(stats.value_cache_bytes);
  message.set_value_cache_hit_count(stats.value_cache_hit_count);
  message.set_value_cache_miss_count(stats.value_cache_miss_count);
  message.set_tree_bytes(replica.tree().memory_bytes());
  message.set_uptime_ms(absl::ToInt64Milliseconds(SteadyNow() - serving.started_at));
  message.set_hlc(engine.last_hlc());
  message.set_appended_lsn(engine.appended_lsn());
  message.set_durable_lsn(engine.durable_lsn());
  for (std::string& sentence : RecoveryInWords(engine.recovery_report())) {
    message.add_recovery(std::move(sentence));
  }
  *message.mutable_repair() = ToProto(replica.repair_stats());
  *message.mutable_push() = ToProto(replica.push_stats());
  message.set_program_version(std::string(base::kProgramVersion));
  message.set_raw_value_bytes(stats.raw_value_bytes);
  message.set_stored_value_bytes(stats.stored_value_bytes);
  message.set_memory_bytes(stats.memory_bytes);
  message.set_run_memory_bytes(stats.run_memory_bytes);
  message.set_checkpoint_memory_bytes(stats.checkpoint_memory_bytes);
  message.set_memory_limit_bytes(replica.options().storage.memory_limit_bytes);
  message.set_hot_key_count(stats.live_key_count + stats.tombstone_count);
  message.set_run_count(stats.run_count);
  message.set_run_entry_count(stats.run_entry_count);
  message.set_run_bytes(stats.run_bytes);
  message.set_replay_bytes(stats.replay_bytes);
  message.set_dead_bytes(stats.dead_bytes);
  message.set_compaction_debt_bytes(stats.compaction_debt_bytes);
  message.set_compacted_segment_count(stats.compacted_segment_count);
  message.set_failed_segment_count(stats.failed_segment_count);
  message.set_appended_bytes(stats.appended_bytes);
  message.set_copied_bytes(stats.copied_bytes);
  message.set_scrubbed_bytes(stats.scrubbed_bytes);
  message.set_scrub_pass_count(stats.scrub_pass_count);
  message.set_scrub_damaged_count(stats.scrub_damaged_count);
  message.set_scrub_damaged_key_count(stats.scrub_damaged_key_count);
  message.set_tree_difference_count(replica.tree_difference_count());
  *message.mutable_memory_forecast() = ForecastMemory(stats, key_count, replica);
  return message;
}

v1::MembersResponse ReportMembers(const Serving& serving, const NodeSummary& self) {
  v1::MembersResponse message;
  v1::Member& first = *message.add_members();
  first.set_name(self.name);
  first.set_endpoint(serving.listen_address->Get());
  first.set_node_id(self.node_id);
  first.set_self(true);
  first.set_reachable(true);
  first.set_last_seen_ms_ago(0);
  first.set_root(std::string(self.root.view()));
  first.set_key_count(self.key_count);
  const absl::Time now = WallNow();
  for (const MemberState& member : serving.replica->members()) {
    if (!member.self) *message.add_members() = ReportMember(member, now);
  }
  return message;
}

v1::RootResponse::NodeRoot ReportRoot(const NodeSummary& summary, absl::string_view endpoint) {
  v1::RootResponse::NodeRoot message;
  message.set_name(summary.name);
  message.set_endpoint(std::string(endpoint));
  message.set_root(std::string(summary.root.view()));
  message.set_key_count(summary.key_count);
  message.set_reachable(true);
  return message;
}

v1::SaveSnapshotResponse ReportSnapshot(const storage::SavedSnapshot& saved) {
  v1::SaveSnapshotResponse message;
  message.set_path(saved.path);
  message.set_root(std::string(saved.file.header.root.view()));
  message.set_key_count(saved.file.header.key_count);
  message.set_tombstone_count(saved.file.header.tombstone_count);
  message.set_was_there(saved.was_there);
  return message;
}

std::vector<std::string> RecoveryInWords(const storage::RecoveryReport& report) {
  std::vector<std::string> sentences;
  if (report.tail_cut) {
    sentences.push_back(absl::StrFormat(
        "a torn tail was cut at segment %d, byte %d: what stood there was never acknowledged (%s)",
        report.tail_segment_number, report.tail_offset, report.tail_cause));
  }
  if (report.manifest_damaged) {
    sentences.push_back(
        "the manifest was damaged: what compaction had dropped is counted as lost below");
  }
  for (const storage::DamagedRange& range : report.damaged) sentences.push_back(InWords(range));
  if (report.new_actor && !report.created) {
    sentences.push_back("the node goes on under a new actor id");
  }
  return sentences;
}

absl::string_view SyncPolicyName(storage::SyncPolicy policy) {
  switch (policy) {
    case storage::SyncPolicy::kAlways:
      return "always";
    case storage::SyncPolicy::kInterval:
      return "interval";
    case storage::SyncPolicy::kNone:
      return "none";
  }
  return "unknown";
}

std::string IdToHex(uint64_t id) { return absl::StrCat(absl::Hex(id, absl::kZeroPad16)); }

}  // namespace slipstream::node
