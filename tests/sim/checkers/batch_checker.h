// BatchChecker: after a restart a node has all of a batch that it coordinated, or none (P6).
#ifndef SLIPSTREAM_TESTS_SIM_CHECKERS_BATCH_CHECKER_H_
#define SLIPSTREAM_TESTS_SIM_CHECKERS_BATCH_CHECKER_H_

#include <map>
#include <vector>

#include "storage/entry.h"
#include "tests/sim/checkers/checker.h"
#include "tests/sim/failure.h"

namespace slipstream::sim {

class BatchChecker final : public Checker {
 public:
  // `failures` must outlive the checker.
  explicit BatchChecker(FailureLog* failures) : failures_(failures) {}

  void OnExecuted(size_t node, const ExecutedWrite& write) override;
  void OnStarted(size_t node, node::Replica& replica) override;
  // Compaction may have copied the records of a batch to different places: damage can take one.
  void OnDamaged(size_t node) override { batches_[node].clear(); }

 private:
  FailureLog* const failures_;
  // Of each node's current life.
  std::map<size_t, std::vector<std::vector<storage::Record>>> batches_;
};

}  // namespace slipstream::sim

#endif  // SLIPSTREAM_TESTS_SIM_CHECKERS_BATCH_CHECKER_H_
