// FinalStateChecker: when all is over, every node has of every key the greatest version that was
// promised or seen, or a greater one that some client tried to write (P1, P2, P3, P4).
#ifndef SLIPSTREAM_TESTS_SIM_CHECKERS_FINAL_STATE_CHECKER_H_
#define SLIPSTREAM_TESTS_SIM_CHECKERS_FINAL_STATE_CHECKER_H_

#include <map>
#include <string>
#include <vector>

#include "base/version.h"
#include "storage/entry.h"
#include "tests/sim/checkers/checker.h"
#include "tests/sim/checkers/promise_checker.h"
#include "tests/sim/failure.h"
#include "tests/sim/history.h"

namespace slipstream::sim {

class FinalStateChecker final : public Checker {
 public:
  // `history` and `failures` must outlive the checker.
  FinalStateChecker(const History* history, CrashesCost crashes_cost, FailureLog* failures)
      : history_(history), crashes_cost_(crashes_cost), failures_(failures) {}

  void OnAcknowledged(size_t node, const ExecutedWrite& write) override;
  void OnReadReleased(size_t node, absl::string_view key,
                      const storage::ReadResult& result) override;
  void OnDamaged(size_t node) override;
  void OnHealed(const std::vector<RestingNode>& nodes) override;
  void OnQuiesced(const std::vector<RestingNode>& nodes) override;

 private:
  // What is known of a key at the end, or must be.
  struct Bound {
    base::Version version;
    std::string cause;  // "promised by node 1".
  };

  void Raise(absl::string_view key, const base::Version& version, std::string cause);
  void CheckRecord(size_t node, const storage::Record& record);

  const History* const history_;
  const CrashesCost crashes_cost_;
  FailureLog* const failures_;
  std::map<std::string, Bound, std::less<>> bounds_;
};

}  // namespace slipstream::sim

#endif  // SLIPSTREAM_TESTS_SIM_CHECKERS_FINAL_STATE_CHECKER_H_
