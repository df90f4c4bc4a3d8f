// The two layers of Engine::Impl as one: entries in memory above entries in the runs.
//
// Of a key, the entry in memory is never older than one in a run. What was read from the runs
// without a lock counts only if, under the lock, they are still the ones in force: else what memory
// lacks may have left it for a newer run meanwhile.

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/error_reason.h"
#include "base/status_macros.h"
#include "storage/engine_impl.h"
#include "storage/index_file.h"

namespace slipstream::storage {
namespace {

base::KeyRange Intersect(const base::KeyRange& a, const base::KeyRange& b) {
  return {.first = std::max(a.first, b.first), .last = std::min(a.last, b.last)};
}

// Visits what `table` and `cold`, which is sorted, have of `range`; the table's is the newer.
bool VisitBoth(const KeyDirShard& table, absl::Span<const LocatedEntry> cold,
               const base::KeyRange& range, absl::FunctionRef<bool(const LocatedEntry&)> visit) {
  size_t next = 0;
  const bool go_on = table.Visit(range, [&](const LocatedEntry& hot) {
    while (next < cold.size() && cold[next].entry.key_id < hot.entry.key_id) {
      if (!visit(cold[next++])) return false;
    }
    if (next < cold.size() && cold[next].entry.key_id == hot.entry.key_id) ++next;
    return visit(hot);
  });
  if (!go_on) return false;
  while (next < cold.size()) {
    if (!visit(cold[next++])) return false;
  }
  return true;
}

}  // namespace

absl::StatusOr<absl::optional<LocatedEntry>> Engine::Impl::FindEntry(const base::KeyId& key_id) {
  for (;;) {
    const KeyDir::Lookup lookup = keydir_.Find(key_id);
    if (lookup.located.has_value() || lookup.complete) return lookup.located;
    const SortedLog::View view = sorted_log_.view();
    absl::StatusOr<absl::optional<RunEntry>> found = view.runs->Find(key_id);
    if (!found.ok()) return StopOver(found.status());
    // Had it left memory before the look into it, the runs would have it.
    if (!found->has_value()) return absl::nullopt;
    KeyDir::Exclusive locked(&keydir_, StripeOf(key_id.shard()));
    if (sorted_log_.generation() != view.generation) continue;
    KeyDir::Shard& shard = locked.shard(key_id.shard());
    if (absl::optional<LocatedEntry> located = shard.table.Find(key_id)) return located;
    SLIP_RETURN_IF_ERROR(InsertClean((*found)->located, shard));
    return (*found)->located;
  }
}

// Takes the newest entry that the runs have of a key into memory.
absl::Status Engine::Impl::InsertClean(const LocatedEntry& located, KeyDir::Shard& shard) {
  SLIP_RETURN_IF_ERROR(shard.table.Admit(located.entry.version.actor));
  const uint64_t bytes_before = shard.table.bytes();
  shard.table.InsertClean(located);
  hot_.bytes.fetch_add(shard.table.bytes() - bytes_before, std::memory_order_relaxed);
  return absl::OkStatus();
}

// Brings what the runs have of `key_ids` into memory.
absl::StatusOr<Known> Engine::Impl::MakeKnown(absl::Span<const base::KeyId> key_ids) {
  Known known{.generation = sorted_log_.generation()};
  for (const base::KeyId& key_id : key_ids) {
    SLIP_ASSIGN_OR_RETURN(const absl::optional<LocatedEntry> located, FindEntry(key_id));
    known.absent.push_back(!located.has_value());
  }
  return known;
}

// Returns whether, for all `key_ids`, what is not in memory is nowhere.
bool Engine::Impl::IsKnown(absl::Span<const base::KeyId> key_ids, const Known& known,
                           KeyDir::Exclusive& locked) const {
  const bool in_force = sorted_log_.generation() == known.generation;
  for (size_t i = 0; i < key_ids.size(); ++i) {
    const KeyDir::Shard& shard = locked.shard(key_ids[i].shard());
    if (shard.complete || shard.table.Find(key_ids[i]).has_value()) continue;
    if (!in_force || !known.absent[i]) return false;
  }
  return true;
}

absl::Status Engine::Impl::VisitEntries(const base::KeyRange& range,
                                        absl::FunctionRef<bool(const Entry&)> visit,
                                        size_t expected_count) {
  const size_t look_count = std::clamp<size_t>(expected_count, 1, kVisitLookEntriesMax);
  const auto visit_undamaged = [visit](const LocatedEntry& located) {
    return located.damaged || visit(located.entry);
  };
  absl::optional<base::KeyId> first = range.first;
  while (first.has_value() && *first <= range.last) {
    const base::KeyRange rest{.first = *first, .last = range.last};
    SLIP_ASSIGN_OR_RETURN(const Visited visited, VisitSome(rest, look_count, visit_undamaged));
    if (visited.stopped) return absl::OkStatus();
    first = visited.next;
  }
  return absl::OkStatus();
}

// Visits the beginning of `range`: a shard that is in memory, or what one look at the runs finds,
// of which it collects `look_count` entries: their pages are read with no lock held, and merged
// with what is in memory under it.
absl::StatusOr<Visited> Engine::Impl::VisitSome(
    const base::KeyRange& range, size_t look_count,
    absl::FunctionRef<bool(const LocatedEntry&)> visit) {
  Visited visited{.next = range.first};
  if (VisitIfComplete(range, visit, visited)) return visited;
  const SortedLog::View view = sorted_log_.view();
  std::vector<LocatedEntry> cold;
  const absl::StatusOr<bool> all =
      view.runs->VisitRange(range, [&cold, look_count](const RunEntry& entry) {
        cold.push_back(entry.located);
        return cold.size() < look_count;
      });
  if (!all.ok()) return StopOver(all.status());
  const base::KeyRange chunk{.first = range.first,
                             .last = *all ? range.last : cold.back().entry.key_id};
  absl::Span<const LocatedEntry> rest = cold;
  for (int index = chunk.first.shard(); index <= chunk.last.shard(); ++index) {
    const auto shard = static_cast<uint8_t>(index);
    const base::KeyRange part = Intersect(RangeOfShard(shard), chunk);
    size_t count = 0;
    while (count < rest.size() && rest[count].entry.key_id.shard() == shard) ++count;
    KeyDir::Exclusive locked(&keydir_, StripeOf(shard));
    // Else what the runs said may be out of date: look again from here.
    if (sorted_log_.generation() != view.generation) return visited;
    visited.stopped = !VisitBoth(locked.shard(shard).table, rest.subspan(0, count), part, visit);
    if (visited.stopped) return visited;
    visited.next = base::Successor(part.last);
    rest.remove_prefix(count);
  }
  return visited;
}

// Visits what the first shard of `range` has of it if that is all in memory; returns whether it is.
bool Engine::Impl::VisitIfComplete(const base::KeyRange& range,
                                   absl::FunctionRef<bool(const LocatedEntry&)> visit,
                                   Visited& visited) {
  const uint8_t index = range.first.shard();
  const base::KeyRange part = Intersect(RangeOfShard(index), range);
  KeyDir::Exclusive locked(&keydir_, StripeOf(index));
  const KeyDir::Shard& shard = locked.shard(index);
  if (!shard.complete) return false;
  visited.stopped = !shard.table.Visit(part, visit);
  visited.next = base::Successor(part.last);
  return true;
}

// Stops the engine over a derived file that cannot be read or written, and returns why. The files
// are taken out of force: the next start builds them again from the log.
absl::Status Engine::Impl::StopOver(const absl::Status& cause) {
  if (const absl::Status status = log_->status(); !status.ok()) return status;
  const std::string index = JoinPath(directory_, kIndexFileName);
  const absl::Status stopped = log_->Fail(absl::DataLossError(
      absl::StrCat(std::string(cause.message()),
                   "; the next start builds it from the log; if this comes again, "
                   "remove ",
                   index)));
  const absl::Status removed = fs_->Remove(index);
  if (removed.ok()) fs_->SyncDirectory(directory_).IgnoreError();  // Said what to do above.
  return stopped;
}

}  // namespace slipstream::storage
