#include "node/replica_scan.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/error_reason.h"
#include "base/status_macros.h"
#include "node/record_check.h"
#include "storage/engine.h"

namespace slipstream::node {
namespace {

// Entries copied out under a shard's lock at a time.
constexpr size_t kChunkEntriesMax = 256;

bool IsLive(bool tombstone, uint64_t expires_at_ms, absl::Time now) {
  return !tombstone && !storage::IsExpired(expires_at_ms, now);
}

absl::StatusOr<std::vector<storage::Entry>> ReadEntries(ReplicaStore& store,
                                                        const base::KeyId& first,
                                                        size_t count_max) {
  base::KeyId last;
  last.bytes.fill(0xff);
  std::vector<storage::Entry> entries;
  SLIP_RETURN_IF_ERROR(store.engine().VisitEntries(
      {.first = first, .last = last},
      [&entries, count_max](const storage::Entry& entry) {
        entries.push_back(entry);
        return entries.size() < count_max;
      },
      /*expected_count=*/count_max));
  return entries;
}

// Reads the item of `entry`; none if it is not, or by now no longer, to be listed.
absl::StatusOr<absl::optional<ScanItem>> ReadItem(ReplicaStore& store, const storage::Entry& entry,
                                                  const ScanOptions& options, absl::Time now) {
  if (!IsLive(entry.tombstone, entry.expires_at_ms, now)) return absl::nullopt;
  absl::StatusOr<storage::Record> record = store.engine().GetRecord(entry.key_id, nullptr);
  if (absl::IsNotFound(record.status())) return absl::nullopt;
  if (absl::IsDataLoss(record.status())) {
    return base::WithReason(absl::DataLossError(absl::StrCat(
                                "scan at key_id ", absl::BytesToHexString(entry.key_id.view()),
                                ": ", record.status().message())),
                            base::kReasonRecordDamaged);
  }
  if (!record.ok()) return record.status();
  if (!IsLive(record->tombstone, record->expires_at_ms, now)) return absl::nullopt;
  if (!absl::StartsWith(record->key, options.key_prefix)) return absl::nullopt;
  ScanItem item;
  item.value_digest =
      record->version == entry.version ? entry.value_digest : base::DigestOfValue(record->value);
  item.record = *std::move(record);
  if (options.keys_only) item.record.value.clear();
  return item;
}

}  // namespace

absl::StatusOr<ScanPage> ScanStore(ReplicaStore& store, const ScanOptions& options,
                                   absl::Time now) {
  ScanPage page;
  size_t visited_count = 0;
  size_t visited_bytes = 0;
  size_t bytes = 0;
  absl::optional<base::KeyId> next =
      options.after.has_value() ? base::Successor(*options.after) : base::KeyId{};
  while (next.has_value()) {
    const size_t chunk_count_max = std::clamp<size_t>(options.items_max, 1, kChunkEntriesMax);
    SLIP_ASSIGN_OR_RETURN(const std::vector<storage::Entry> entries,
                          ReadEntries(store, *next, chunk_count_max));
    for (const storage::Entry& entry : entries) {
      if (visited_count >= options.visited_max || visited_bytes >= options.visited_bytes_max ||
          page.items.size() >= options.items_max) {
        page.lsn = store.ExposedLsn();
        return page;
      }
      absl::StatusOr<absl::optional<ScanItem>> item = ReadItem(store, entry, options, now);
      if (!item.ok()) return item.status();
      if (item->has_value()) {
        bytes += PayloadBytes((*item)->record);
        if (bytes > options.bytes_max && !page.items.empty()) {
          page.lsn = store.ExposedLsn();
          return page;
        }
        page.items.push_back(**std::move(item));
      }
      ++visited_count;
      visited_bytes += entry.record_bytes;
      page.last_key_id = entry.key_id;
    }
    next =
        entries.size() < chunk_count_max ? absl::nullopt : base::Successor(entries.back().key_id);
  }
  page.last_key_id = absl::nullopt;
  page.lsn = store.ExposedLsn();
  return page;
}

}  // namespace slipstream::node
