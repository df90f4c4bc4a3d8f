// The engine's side of scrubbing: what a record should be, which entries there are, and reading one
// for no client's sake.

#include "base/error_reason.h"
#include "base/status_macros.h"
#include "storage/engine_impl.h"

namespace slipstream::storage {

bool Engine::Impl::Agrees(const RecordView& record, const Location& location) {
  if (!IsChange(record.header)) return true;  // The end of a streamed transaction: nobody's.
  const base::KeyId key_id = base::KeyIdOf(record.key);
  absl::optional<LocatedEntry> located;
  {
    // Not KeyDir::Find: nobody uses the key, so it may leave memory as before.
    KeyDir::Exclusive locked(&keydir_, StripeOf(key_id.shard()));
    located = locked.shard(key_id.shard()).table.Find(key_id);
  }
  if (!located.has_value() || located->damaged || located->location != location) return true;
  const Entry& entry = located->entry;
  return IsRecordOf(entry, record) && record.bytes() == entry.record_bytes &&
         (entry.tombstone || record.header.value_digest == entry.value_digest);
}

absl::StatusOr<absl::optional<base::KeyId>> Engine::Impl::VisitFrom(
    const base::KeyId& first, absl::FunctionRef<void(const LocatedEntry&)> visit) {
  const base::KeyRange rest{.first = first, .last = base::RangeOf(base::KeyPrefix{}).last};
  SLIP_ASSIGN_OR_RETURN(const Visited visited,
                        VisitSome(rest, kVisitLookEntriesMax, [visit](const LocatedEntry& located) {
                          visit(located);
                          return true;
                        }));
  return visited.next;
}

absl::StatusOr<bool> Engine::Impl::Examine(const base::KeyId& key_id) {
  const absl::Status status = ReadCurrent(key_id, Tombstones::kRead, Check::kDigest).status();
  if (base::ReasonOf(status) == base::kReasonRecordDamaged) return true;
  SLIP_RETURN_IF_ERROR(status);
  return false;
}

}  // namespace slipstream::storage
