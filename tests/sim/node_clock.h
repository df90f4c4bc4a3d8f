// NodeClock: a node's wall clock, which is never quite right.
#ifndef SLIPSTREAM_TESTS_SIM_NODE_CLOCK_H_
#define SLIPSTREAM_TESTS_SIM_NODE_CLOCK_H_

#include "absl/time/time.h"

namespace slipstream::sim {

// Not thread-safe; owned by its node.
class NodeClock {
 public:
  // At `start` it is off by `offset`; then it gains `drift` seconds a second (may be negative).
  NodeClock(absl::Time start, absl::Duration offset, double drift)
      : start_(start), offset_(offset), drift_(drift) {}

  // What it shows at the true time `now`.
  absl::Time Read(absl::Time now) const { return now + offset_ + (now - start_) * drift_; }
  // How long it truly takes until it has gone on by `shown`.
  absl::Duration TrueDuration(absl::Duration shown) const { return shown / (1 + drift_); }
  // Sets it forward, or back if negative. Not during a life of its node.
  void Step(absl::Duration by) { offset_ += by; }
  absl::Duration offset() const { return offset_; }

 private:
  absl::Time start_;
  absl::Duration offset_;
  double drift_;
};

}  // namespace slipstream::sim

#endif  // SLIPSTREAM_TESTS_SIM_NODE_CLOCK_H_
