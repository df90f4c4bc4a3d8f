// VersionChecker: versions and dots are given once, to one record, in rising order, and not from
// the future.
#ifndef SLIPSTREAM_TESTS_SIM_CHECKERS_VERSION_CHECKER_H_
#define SLIPSTREAM_TESTS_SIM_CHECKERS_VERSION_CHECKER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <tuple>

#include "absl/time/time.h"
#include "base/version.h"
#include "storage/entry.h"
#include "tests/sim/checkers/checker.h"
#include "tests/sim/failure.h"

namespace slipstream::sim {

class VersionChecker final : public Checker {
 public:
  // `latest_clock` returns the greatest time that any node's clock has shown. `failures` must
  // outlive the checker.
  VersionChecker(std::function<absl::Time()> latest_clock, FailureLog* failures)
      : latest_clock_(std::move(latest_clock)), failures_(failures) {}

  void OnExecuted(size_t node, const ExecutedWrite& write) override;
  void OnAcknowledged(size_t node, const ExecutedWrite& write) override;
  void OnRecordSent(size_t node, const storage::Record& record) override;
  void OnCrashed(size_t node) override;

 private:
  // A record left a node, so its version and dot are taken for good.
  void Take(size_t node, const storage::Record& record);

  const std::function<absl::Time()> latest_clock_;
  FailureLog* const failures_;
  std::map<size_t, base::ActorId> actors_;    // Of each node's last write.
  std::map<base::ActorId, base::Hlc> given_;  // The greatest, of this life.
  std::map<base::ActorId, base::Hlc> taken_;  // The greatest that left the node.
  std::map<base::Version, storage::Record> records_;
  // By actor, shard and sequence.
  std::map<std::tuple<base::ActorId, uint8_t, uint64_t>, base::Version> dots_;
};

}  // namespace slipstream::sim

#endif  // SLIPSTREAM_TESTS_SIM_CHECKERS_VERSION_CHECKER_H_
