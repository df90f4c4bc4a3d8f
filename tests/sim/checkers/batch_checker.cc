#include "tests/sim/checkers/batch_checker.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/key_id.h"
#include "base/version.h"
#include "tests/sim/checkers/dump.h"

namespace slipstream::sim {

void BatchChecker::OnExecuted(size_t node, const ExecutedWrite& write) {
  if (write.atomicity == storage::Atomicity::kAll && write.records.size() > 1) {
    batches_[node].push_back(write.records);
  }
}

void BatchChecker::OnStarted(size_t node, node::Replica& replica) {
  std::map<base::KeyId, base::Version> versions;
  for (const storage::Entry& entry : EntriesOf(replica.engine())) {
    versions[entry.key_id] = entry.version;
  }
  for (const std::vector<storage::Record>& batch : batches_[node]) {
    const auto version_of = [&versions](const storage::Record& record) {
      return versions[base::KeyIdOf(record.key)];
    };
    // A key of it may have been written again since.
    const auto is_there = std::find_if(batch.begin(), batch.end(), [&](const auto& record) {
      return version_of(record) == record.version;
    });
    const auto is_missing = std::find_if(batch.begin(), batch.end(), [&](const auto& record) {
      return version_of(record) < record.version;
    });
    if (is_there == batch.end() || is_missing == batch.end()) continue;
    failures_->Report("P6 atomicity",
                      absl::StrCat("node ", node, " restarts with ", Describe(*is_there),
                                   " but without ", Describe(*is_missing), " of the same batch"));
  }
  batches_[node].clear();
}

}  // namespace slipstream::sim
