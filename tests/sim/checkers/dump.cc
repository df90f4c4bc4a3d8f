#include "tests/sim/checkers/dump.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/key_id.h"
#include "base/version.h"
#include "merkle/leaf.h"
#include "merkle/tree_verify.h"

namespace slipstream::sim {

std::vector<storage::Entry> EntriesOf(storage::Engine& engine) {
  std::vector<storage::Entry> entries;
  const absl::Status visited = engine.VisitEntries(base::RangeOf(base::KeyPrefix{}),
                                                   [&entries](const storage::Entry& entry) {
                                                     entries.push_back(entry);
                                                     return true;
                                                   });
  SLIP_CHECK(visited.ok());
  return entries;
}

absl::StatusOr<std::vector<storage::Record>> RecordsOf(storage::Engine& engine) {
  std::vector<storage::Record> records;
  for (const storage::Entry& entry : EntriesOf(engine)) {
    absl::StatusOr<storage::Record> record = engine.GetRecord(entry.key_id, nullptr);
    if (!record.ok()) return record.status();
    const base::ValueDigest digest =
        record->tombstone ? base::ValueDigest{} : base::DigestOfValue(record->value);
    if (base::KeyIdOf(record->key) != entry.key_id || record->version != entry.version ||
        record->sequence != entry.sequence || record->tombstone != entry.tombstone ||
        record->expires_at_ms != entry.expires_at_ms || digest != entry.value_digest) {
      return absl::DataLossError(absl::StrCat("record ", Describe(*record),
                                              " does not fit its entry of version ",
                                              base::ToString(entry.version)));
    }
    records.push_back(*std::move(record));
  }
  return records;
}

base::Digest RootByDefinition(const std::vector<storage::Entry>& entries) {
  std::vector<merkle::KeyedDigest> leaves;
  for (const storage::Entry& entry : entries) {
    if (entry.tombstone) continue;
    leaves.emplace_back(entry.key_id, merkle::DigestOfLeaf({.key_id = entry.key_id,
                                                            .version = entry.version,
                                                            .expires_at_ms = entry.expires_at_ms,
                                                            .value_digest = entry.value_digest}));
  }
  return merkle::DigestByDefinition(leaves);
}

std::string Describe(const storage::Record& record) {
  return absl::StrCat(record.key, "@", base::ToString(record.version), "#", record.sequence,
                      record.tombstone ? " (deleted)" : "");
}

}  // namespace slipstream::sim
