// PromiseChecker: what one node has let go of, it keeps; and what it reads was written (P1, P2,
// P4).
//
// The version of a key that a node shows never goes back behind one that it has acknowledged or
// shown, over restarts too.
#ifndef SLIPSTREAM_TESTS_SIM_CHECKERS_PROMISE_CHECKER_H_
#define SLIPSTREAM_TESTS_SIM_CHECKERS_PROMISE_CHECKER_H_

#include <map>
#include <string>

#include "base/version.h"
#include "tests/sim/checkers/checker.h"
#include "tests/sim/failure.h"
#include "tests/sim/history.h"

namespace slipstream::sim {

// Whether a crash may cost what was acknowledged: not under SyncPolicy::kAlways.
enum class CrashesCost { kNothing, kUnsynced };

class PromiseChecker final : public Checker {
 public:
  // `history` and `failures` must outlive the checker.
  PromiseChecker(const History* history, CrashesCost crashes_cost, FailureLog* failures)
      : history_(history), crashes_cost_(crashes_cost), failures_(failures) {}

  void OnAcknowledged(size_t node, const ExecutedWrite& write) override;
  void OnRead(size_t node, absl::string_view key, const storage::ReadResult& result) override;
  void OnReadReleased(size_t node, absl::string_view key,
                      const storage::ReadResult& result) override;
  void OnCrashed(size_t node) override;
  void OnStarted(size_t node, node::Replica& replica) override;
  void OnDamaged(size_t node) override;

 private:
  void Raise(size_t node, absl::string_view key, const base::Version& version);

  const History* const history_;
  const CrashesCost crashes_cost_;
  FailureLog* const failures_;
  // For each node and key the greatest version let go of.
  std::map<size_t, std::map<std::string, base::Version, std::less<>>> floors_;
};

}  // namespace slipstream::sim

#endif  // SLIPSTREAM_TESTS_SIM_CHECKERS_PROMISE_CHECKER_H_
