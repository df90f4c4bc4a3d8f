#include "tests/sim/checkers/convergence_checker.h"

#include <algorithm>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/digest.h"
#include "storage/entry.h"
#include "tests/sim/checkers/dump.h"

namespace slipstream::sim {
namespace {

absl::StatusOr<std::vector<storage::Record>> LiveRecordsOf(storage::Engine& engine) {
  absl::StatusOr<std::vector<storage::Record>> records = RecordsOf(engine);
  if (records.ok()) {
    records->erase(std::remove_if(records->begin(), records->end(),
                                  [](const storage::Record& record) { return record.tombstone; }),
                   records->end());
  }
  return records;
}

// Names the first record that one side has and the other has not.
std::string FirstDifference(const std::vector<storage::Record>& left,
                            const std::vector<storage::Record>& right) {
  const auto [in_left, in_right] =
      std::mismatch(left.begin(), left.end(), right.begin(), right.end());
  return absl::StrCat(in_left == left.end() ? "nothing" : Describe(*in_left), " against ",
                      in_right == right.end() ? "nothing" : Describe(*in_right));
}

}  // namespace

void ConvergenceChecker::OnStarted(size_t node, node::Replica& replica) { OnGlance(node, replica); }

void ConvergenceChecker::OnGlance(size_t node, node::Replica& replica) {
  const base::Digest root = replica.tree().Root();
  const std::vector<storage::Entry> entries = EntriesOf(replica.engine());
  if (root != RootByDefinition(entries)) {
    failures_->Report("P5 honest root",
                      absl::StrCat("node ", node, " has root ", base::ToHex(root),
                                   ", its entries have ", base::ToHex(RootByDefinition(entries))));
  }
  const auto live_count = static_cast<uint64_t>(
      std::count_if(entries.begin(), entries.end(),
                    [](const storage::Entry& entry) { return !entry.tombstone; }));
  const storage::EngineStats stats = replica.engine().stats();
  if (replica.tree().leaf_count() != live_count ||
      (stats.complete && stats.live_key_count != live_count)) {
    failures_->Report(
        "P5 honest root",
        absl::StrCat("node ", node, " has ", live_count, " live keys; its tree counts ",
                     replica.tree().leaf_count(), ", its engine ", stats.live_key_count));
  }
}

void ConvergenceChecker::OnQuiesced(const std::vector<RestingNode>& nodes) {
  std::vector<storage::Record> expected;
  base::Digest root;
  for (size_t node = 0; node < nodes.size(); ++node) {
    OnGlance(node, *nodes[node].replica);
    const auto records = LiveRecordsOf(nodes[node].replica->engine());
    if (!records.ok()) return;  // FinalStateChecker reports it.
    if (node == 0) {
      expected = *records;
      root = nodes[node].replica->tree().Root();
      continue;
    }
    if (*records != expected) {
      failures_->Report(
          "P5 convergence",
          absl::StrCat("nodes 0 and ", node, " differ: ", FirstDifference(expected, *records)));
    }
    if ((nodes[node].replica->tree().Root() == root) != (*records == expected)) {
      failures_->Report("P5 honest root",
                        absl::StrCat("roots and contents of nodes 0 and ", node, " disagree"));
    }
  }
}

}  // namespace slipstream::sim
