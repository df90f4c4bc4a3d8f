// The conditional side of Engine::Impl: preconditions and snapshots. How a write is made:
// engine_write.cc.

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/digest.h"
#include "base/error_reason.h"
#include "base/status_macros.h"
#include "storage/ceilings.h"
#include "storage/engine_impl.h"

namespace slipstream::storage {
namespace {

absl::Status TooLarge(uint64_t size, absl::string_view what, uint64_t size_max) {
  return base::WithReason(absl::InvalidArgumentError(absl::StrFormat(
                              "preconditions of %d %s, more than %d", size, what, size_max)),
                          base::kReasonBatchSize);
}

// Compares `located`, which is `current` if it has not expired, with what `precondition` wants.
absl::Status CheckOne(const Precondition& precondition, const base::ValueDigest& value_digest,
                      const absl::optional<LocatedEntry>& located, bool current) {
  const bool present = current && !located->entry.tombstone;
  const auto refuse = [&](absl::string_view wanted) {
    std::string found = present ? "is present" : "is absent";
    if (located.has_value()) {
      absl::StrAppend(&found, ", its version ", base::ToString(located->entry.version));
    }
    return ConflictOver(precondition.key, absl::StrCat(found, ": not ", wanted));
  };
  switch (precondition.kind) {
    case Precondition::Kind::kAbsent:
      return present ? refuse("absent") : absl::OkStatus();
    case Precondition::Kind::kPresent:
      return present ? absl::OkStatus() : refuse("present");
    case Precondition::Kind::kVersion:
      if (current && located->entry.version == precondition.version) return absl::OkStatus();
      return refuse(absl::StrCat("of version ", base::ToString(precondition.version)));
    case Precondition::Kind::kValue:
      if (present && located->entry.value_digest == value_digest) return absl::OkStatus();
      return refuse("of the value given");
  }
  return absl::InvalidArgumentError("a precondition of no kind");
}

}  // namespace

absl::StatusOr<WriteResult> Engine::Impl::Transact(absl::Span<const Precondition> preconditions,
                                                   absl::Span<const Mutation> mutations,
                                                   absl::Time now) {
  SLIP_ASSIGN_OR_RETURN(const Guard guard, MakeGuard(preconditions));
  if (!mutations.empty()) return WriteIf(guard, mutations, Atomicity::kAll, now);
  for (;;) {
    SLIP_ASSIGN_OR_RETURN(const Known known, MakeKnown(guard.key_ids));
    KeyDir::Exclusive locked(&keydir_, guard.stripes);
    if (!IsKnown(guard.key_ids, known, locked)) continue;
    SLIP_RETURN_IF_ERROR(CheckGuard(guard, now, locked));
    return WriteResult{.lsn = IsDurable(guard, locked) ? 0 : log_->appended_lsn()};
  }
}

absl::StatusOr<Guard> Engine::Impl::MakeGuard(absl::Span<const Precondition> preconditions) const {
  const Limits& limits = options_.limits;
  if (preconditions.size() > limits.batch_operations_max) {
    return TooLarge(preconditions.size(), "keys", limits.batch_operations_max);
  }
  Guard guard{
      .preconditions = preconditions, .key_ids = {}, .value_digests = {}, .is_transaction = true};
  uint64_t bytes = 0;
  for (const Precondition& precondition : preconditions) {
    const absl::string_view key = precondition.key;
    // What Get takes, too: a transaction may have read a key that another node's limits allow.
    if (key.empty() || key.size() > kKeyBytesCeiling) {
      return base::WithReason(absl::InvalidArgumentError(absl::StrFormat(
                                  "key of %d bytes, not 1 to %d", key.size(), kKeyBytesCeiling)),
                              base::kReasonKeySize);
    }
    bytes += key.size() + precondition.value.size();
    if (bytes > limits.batch_bytes_max) return TooLarge(bytes, "bytes", limits.batch_bytes_max);
    guard.key_ids.push_back(base::KeyIdOf(key));
    guard.stripes |= StripeOf(guard.key_ids.back().shard());
    const bool compares = precondition.kind == Precondition::Kind::kValue;
    guard.value_digests.push_back(compares ? base::DigestOfValue(precondition.value)
                                           : base::ValueDigest{});
  }
  return guard;
}

absl::Status Engine::Impl::CheckGuard(const Guard& guard, absl::Time now,
                                      KeyDir::Exclusive& locked) const {
  for (size_t i = 0; i < guard.key_ids.size(); ++i) {
    const base::KeyId& key_id = guard.key_ids[i];
    const absl::optional<LocatedEntry> located = locked.shard(key_id.shard()).table.Find(key_id);
    if (located.has_value() && located->damaged) {
      return base::WithReason(
          absl::DataLossError(absl::StrFormat(
              "segment %d offset %d: the record of a precondition's key was found damaged",
              located->location.segment_number, located->location.offset)),
          base::kReasonRecordDamaged);
    }
    const bool current = located.has_value() && !IsExpired(located->entry.expires_at_ms, now);
    SLIP_RETURN_IF_ERROR(
        CheckOne(guard.preconditions[i], guard.value_digests[i], located, current));
  }
  return absl::OkStatus();
}

bool Engine::Impl::IsDurable(const Guard& guard, KeyDir::Exclusive& locked) const {
  for (const base::KeyId& key_id : guard.key_ids) {
    const absl::optional<LocatedEntry> located = locked.shard(key_id.shard()).table.Find(key_id);
    if (located.has_value() && !IsDurable(located->location)) return false;
  }
  return true;
}

base::Hlc Engine::Impl::Snapshot() {
  // A Write is given its versions and made visible under the locks of its stripes: with all of them
  // held, none is in between.
  KeyDir::Exclusive locked(&keydir_, kAllStripes);
  return clock_.last();
}

}  // namespace slipstream::storage
