#include "tests/sim/scheduler.h"

#include <algorithm>

namespace slipstream::sim {

void Scheduler::At(absl::Time time, Action action) {
  actions_.emplace(std::make_pair(std::max(time, now_), ++action_count_), std::move(action));
}

void Scheduler::RunUntil(absl::Time end, const std::function<bool()>& stop) {
  while (!actions_.empty() && actions_.begin()->first.first <= end) {
    auto node = actions_.extract(actions_.begin());
    now_ = node.key().first;
    node.mapped()();
    if (stop()) return;
  }
  now_ = std::max(now_, end);
}

}  // namespace slipstream::sim
