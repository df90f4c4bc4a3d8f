// OutputRuleChecker: nothing leaves a node before it is durable there (P1), unless the sync policy
// makes no such promise.
//
// A breach harms only when a crash comes at the right moment, so it is looked for directly.
#ifndef SLIPSTREAM_TESTS_SIM_CHECKERS_OUTPUT_RULE_CHECKER_H_
#define SLIPSTREAM_TESTS_SIM_CHECKERS_OUTPUT_RULE_CHECKER_H_

#include <functional>
#include <map>
#include <utility>

#include "absl/strings/string_view.h"
#include "base/version.h"
#include "storage/engine.h"
#include "storage/entry.h"
#include "tests/sim/checkers/checker.h"
#include "tests/sim/failure.h"

namespace slipstream::sim {

class OutputRuleChecker final : public Checker {
 public:
  // `durable_lsn` returns what a node's log has made durable. `failures` must outlive the checker.
  OutputRuleChecker(std::function<storage::Lsn(size_t)> durable_lsn, FailureLog* failures)
      : durable_lsn_(std::move(durable_lsn)), failures_(failures) {}

  void OnExecuted(size_t node, const ExecutedWrite& write) override;
  void OnAcknowledged(size_t node, const ExecutedWrite& write) override;
  void OnReadReleased(size_t node, absl::string_view key,
                      const storage::ReadResult& result) override;
  void OnRecordSent(size_t node, const storage::Record& record) override;

 private:
  // Where a record was written first.
  struct Origin {
    size_t node = 0;
    storage::Lsn lsn = 0;
  };

  void Check(size_t node, absl::string_view key, const base::Version& version);

  const std::function<storage::Lsn(size_t)> durable_lsn_;
  FailureLog* const failures_;
  std::map<base::Version, Origin> origins_;
};

}  // namespace slipstream::sim

#endif  // SLIPSTREAM_TESTS_SIM_CHECKERS_OUTPUT_RULE_CHECKER_H_
