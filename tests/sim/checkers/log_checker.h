// LogChecker: what a node knows in memory is what its log says: reading a copy of its disk anew
// gives the same entries (P8).
#ifndef SLIPSTREAM_TESTS_SIM_CHECKERS_LOG_CHECKER_H_
#define SLIPSTREAM_TESTS_SIM_CHECKERS_LOG_CHECKER_H_

#include <set>
#include <vector>

#include "tests/sim/checkers/checker.h"
#include "tests/sim/failure.h"

namespace slipstream::sim {

class LogChecker final : public Checker {
 public:
  // `failures` must outlive the checker.
  explicit LogChecker(FailureLog* failures) : failures_(failures) {}

  void OnDamaged(size_t node) override { damaged_.insert(node); }
  void OnQuiesced(const std::vector<RestingNode>& nodes) override;

 private:
  FailureLog* const failures_;
  // A log that has lost a record says less than what was read from it before.
  std::set<size_t> damaged_;
};

}  // namespace slipstream::sim

#endif  // SLIPSTREAM_TESTS_SIM_CHECKERS_LOG_CHECKER_H_
