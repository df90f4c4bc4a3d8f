#include "tests/sim/checkers/final_state_checker.h"

#include <algorithm>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "tests/sim/checkers/dump.h"
#include "tests/sim/value.h"

namespace slipstream::sim {

void FinalStateChecker::OnAcknowledged(size_t node, const ExecutedWrite& write) {
  if (crashes_cost_ == CrashesCost::kUnsynced) return;
  for (const storage::Record& record : write.records) {
    Raise(record.key, record.version, absl::StrCat("acknowledged by node ", node));
  }
}

void FinalStateChecker::OnReadReleased(size_t node, absl::string_view key,
                                       const storage::ReadResult& result) {
  if (crashes_cost_ == CrashesCost::kUnsynced) return;
  Raise(key, result.version, absl::StrCat("read from node ", node));
}

void FinalStateChecker::OnDamaged(size_t) {
  // The only copy of a tombstone, of a key that no other node ever had, may be gone. What the
  // others have is told anew.
  bounds_.clear();
}

void FinalStateChecker::OnHealed(const std::vector<RestingNode>& nodes) {
  // Whatever crashes cost: what some node still has must win.
  for (size_t node = 0; node < nodes.size(); ++node) {
    const auto records = RecordsOf(nodes[node].replica->engine());
    if (!records.ok()) continue;  // OnQuiesced reports it if it stays.
    for (const storage::Record& record : *records) {
      Raise(record.key, record.version, absl::StrCat("on node ", node, " after the faults"));
    }
  }
}

void FinalStateChecker::OnQuiesced(const std::vector<RestingNode>& nodes) {
  std::map<std::string, base::Version, std::less<>> greatest;
  for (size_t node = 0; node < nodes.size(); ++node) {
    const auto records = RecordsOf(nodes[node].replica->engine());
    if (!records.ok()) {
      failures_->Report("P2 integrity",
                        absl::StrCat("node ", node, ": ", records.status().message()));
      return;
    }
    for (const storage::Record& record : *records) {
      base::Version& version = greatest[record.key];
      version = std::max(version, record.version);
      if (!record.tombstone) CheckRecord(node, record);
    }
  }
  for (const auto& [key, bound] : bounds_) {
    if (greatest[key] >= bound.version) continue;
    failures_->Report("P1 durability",
                      absl::StrCat(key, " ends at version ", base::ToString(greatest[key]),
                                   ", but ", base::ToString(bound.version), " was ", bound.cause));
  }
}

void FinalStateChecker::Raise(absl::string_view key, const base::Version& version,
                              std::string cause) {
  Bound& bound = bounds_[std::string(key)];
  if (version <= bound.version) return;
  bound = {.version = version, .cause = std::move(cause)};
}

void FinalStateChecker::CheckRecord(size_t node, const storage::Record& record) {
  const auto bound = bounds_.find(record.key);
  if (bound != bounds_.end() && record.version < bound->second.version) {
    failures_->Report(
        "P4 no resurrection",
        absl::StrCat("node ", node, " ends with ", Describe(record), ", but ",
                     base::ToString(bound->second.version), " was ", bound->second.cause));
  }
  const absl::StatusOr<uint64_t> operation_id = OperationOf(record.key, record.value);
  const Operation* const operation = operation_id.ok() ? history_->Find(*operation_id) : nullptr;
  if (operation == nullptr || operation->key != record.key ||
      operation->kind != storage::Mutation::Kind::kPut) {
    failures_->Report("P2 integrity", absl::StrCat("node ", node, " ends with ", Describe(record),
                                                   ", which no client wrote"));
  } else if (operation->acknowledged.has_value() && *operation->acknowledged != record.version) {
    failures_->Report("P3 versions", absl::StrCat("node ", node, " ends with ", Describe(record),
                                                  " of operation ", *operation_id, " of version ",
                                                  base::ToString(*operation->acknowledged)));
  }
}

}  // namespace slipstream::sim
