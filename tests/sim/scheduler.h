// Scheduler: the simulation's time. Nothing happens but what was put here, one after the other.
#ifndef SLIPSTREAM_TESTS_SIM_SCHEDULER_H_
#define SLIPSTREAM_TESTS_SIM_SCHEDULER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <utility>

#include "absl/time/time.h"

namespace slipstream::sim {

// Not thread-safe; owned by the simulation.
class Scheduler {
 public:
  using Action = std::function<void()>;

  explicit Scheduler(absl::Time start) : now_(start) {}

  absl::Time now() const { return now_; }

  // Runs `action` at `time`, at once if that has passed. Of two at one time the earlier put goes
  // first.
  void At(absl::Time time, Action action);
  void After(absl::Duration delay, Action action) { At(now_ + delay, std::move(action)); }

  // Runs what is due by `end`, in order, until `stop` returns true after an action. Time then
  // stands at that action, else at `end`.
  void RunUntil(absl::Time end, const std::function<bool()>& stop);

 private:
  absl::Time now_;
  uint64_t action_count_ = 0;
  std::map<std::pair<absl::Time, uint64_t>, Action> actions_;
};

}  // namespace slipstream::sim

#endif  // SLIPSTREAM_TESTS_SIM_SCHEDULER_H_
