#include "tests/sim/checkers/promise_checker.h"

#include <algorithm>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/key_id.h"
#include "tests/sim/value.h"

namespace slipstream::sim {

void PromiseChecker::OnAcknowledged(size_t node, const ExecutedWrite& write) {
  for (const storage::Record& record : write.records) Raise(node, record.key, record.version);
}

void PromiseChecker::OnRead(size_t node, absl::string_view key, const storage::ReadResult& result) {
  const auto floor = floors_[node].find(key);
  if (floor != floors_[node].end() && result.version < floor->second) {
    failures_->Report(
        "P4 no way back",
        absl::StrCat("node ", node, " reads ", key, " at version ", base::ToString(result.version),
                     ", but has shown ", base::ToString(floor->second)));
  }
  if (!result.found) return;
  const absl::StatusOr<uint64_t> operation_id = OperationOf(key, result.value);
  if (!operation_id.ok()) {
    failures_->Report("P2 integrity", absl::StrCat("node ", node, " reads ", key, ": ",
                                                   operation_id.status().message()));
    return;
  }
  const Operation* const operation = history_->Find(*operation_id);
  if (operation == nullptr || operation->key != key ||
      operation->kind != storage::Mutation::Kind::kPut) {
    failures_->Report("P2 integrity",
                      absl::StrCat("node ", node, " reads ", key, " as of operation ",
                                   *operation_id, ", which did not write it"));
    return;
  }
  if (operation->acknowledged.has_value() && *operation->acknowledged != result.version) {
    failures_->Report("P3 versions",
                      absl::StrCat("node ", node, " reads ", key, " of operation ", *operation_id,
                                   " at version ", base::ToString(result.version), ", not ",
                                   base::ToString(*operation->acknowledged)));
  }
}

void PromiseChecker::OnReadReleased(size_t node, absl::string_view key,
                                    const storage::ReadResult& result) {
  Raise(node, key, result.version);
}

void PromiseChecker::OnCrashed(size_t node) {
  if (crashes_cost_ == CrashesCost::kUnsynced) floors_[node].clear();
}

void PromiseChecker::OnStarted(size_t node, node::Replica& replica) {
  for (const auto& [key, floor] : floors_[node]) {
    const base::KeyId key_id = base::KeyIdOf(key);
    base::Version version;
    const absl::Status visited = replica.engine().VisitEntries(
        {.first = key_id, .last = key_id}, [&version](const storage::Entry& entry) {
          version = entry.version;
          return false;
        });
    // A node whose disk fails it here leaves, and is started anew.
    if (!visited.ok()) return;
    if (version >= floor) continue;
    failures_->Report("P1 durability", absl::StrCat("node ", node, " restarts with ", key,
                                                    " at version ", base::ToString(version),
                                                    ", but had promised ", base::ToString(floor)));
  }
}

void PromiseChecker::OnDamaged(size_t node) { floors_[node].clear(); }

void PromiseChecker::Raise(size_t node, absl::string_view key, const base::Version& version) {
  base::Version& floor = floors_[node][std::string(key)];
  floor = std::max(floor, version);
}

}  // namespace slipstream::sim
