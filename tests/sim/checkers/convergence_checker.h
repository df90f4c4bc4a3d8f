// ConvergenceChecker: equal roots, equal state, and roots that are what the definition says (P5).
#ifndef SLIPSTREAM_TESTS_SIM_CHECKERS_CONVERGENCE_CHECKER_H_
#define SLIPSTREAM_TESTS_SIM_CHECKERS_CONVERGENCE_CHECKER_H_

#include <vector>

#include "tests/sim/checkers/checker.h"
#include "tests/sim/failure.h"

namespace slipstream::sim {

class ConvergenceChecker final : public Checker {
 public:
  // `failures` must outlive the checker.
  explicit ConvergenceChecker(FailureLog* failures) : failures_(failures) {}

  void OnStarted(size_t node, node::Replica& replica) override;
  void OnGlance(size_t node, node::Replica& replica) override;
  void OnQuiesced(const std::vector<RestingNode>& nodes) override;

 private:
  FailureLog* const failures_;
};

}  // namespace slipstream::sim

#endif  // SLIPSTREAM_TESTS_SIM_CHECKERS_CONVERGENCE_CHECKER_H_
