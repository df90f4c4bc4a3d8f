#include "tests/sim/checkers/output_rule_checker.h"

#include "absl/strings/str_cat.h"

namespace slipstream::sim {

void OutputRuleChecker::OnExecuted(size_t node, const ExecutedWrite& write) {
  for (const storage::Record& record : write.records) {
    origins_[record.version] = {.node = node, .lsn = write.lsn};
  }
}

void OutputRuleChecker::OnAcknowledged(size_t node, const ExecutedWrite& write) {
  for (const storage::Record& record : write.records) OnRecordSent(node, record);
}

void OutputRuleChecker::OnReadReleased(size_t node, absl::string_view key,
                                       const storage::ReadResult& result) {
  Check(node, key, result.version);
}

void OutputRuleChecker::OnRecordSent(size_t node, const storage::Record& record) {
  Check(node, record.key, record.version);
}

void OutputRuleChecker::Check(size_t node, absl::string_view key, const base::Version& version) {
  const auto origin = origins_.find(version);
  // What came from another node may be durable there and not yet here.
  if (origin == origins_.end() || origin->second.node != node) return;
  if (origin->second.lsn <= durable_lsn_(node)) return;
  failures_->Report(
      "P1 output rule",
      absl::StrCat("node ", node, " lets go of ", key, "@", base::ToString(version), " at LSN ",
                   origin->second.lsn, ", but is durable up to ", durable_lsn_(node)));
}

}  // namespace slipstream::sim
