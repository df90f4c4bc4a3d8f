// BackgroundPace: how much of the machine a thread takes that does background work: little while
// clients want it, and more as the work piles up.
#ifndef SLIPSTREAM_NODE_BACKGROUND_PACE_H_
#define SLIPSTREAM_NODE_BACKGROUND_PACE_H_

#include "absl/time/time.h"
#include "storage/engine.h"

namespace slipstream::node {

// Not thread-safe: of one thread.
class BackgroundPace {
 public:
  // `period`: the pause when there is nothing to do.
  explicit BackgroundPace(absl::Duration period) : period_(period) {}

  // Makes the calling thread one that waits for others when there are not enough cores; returns
  // false where the system does not allow it. Not undone: an unprivileged thread may not.
  static bool LowerPriority();

  // Takes note of how much there is to do; asks the engine at most once a second. `now`: on a clock
  // that never goes back.
  void Observe(const storage::Engine& engine, absl::Duration now);
  void Observe(const storage::EngineStats& stats);

  // Returns how long to pause after a burst of work that took `burst`. While there is more to do,
  // the thread works a quarter of the time, and all the time when it is behind.
  absl::Duration PauseAfter(absl::Duration burst, bool has_more) const;

 private:
  const absl::Duration period_;
  absl::Duration next_question_at_ = absl::ZeroDuration();
  bool is_behind_ = false;
};

}  // namespace slipstream::node

#endif  // SLIPSTREAM_NODE_BACKGROUND_PACE_H_
