#include "node/real_clock.h"

#include <algorithm>
#include <chrono>

#include "absl/time/clock.h"

namespace slipstream::node {

absl::Time WallNow() { return absl::Now(); }

absl::Duration SteadyNow() {
  return absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
}

absl::Time ForwardClock::Now() {
  const absl::Duration steady = SteadyNow();
  last_ = std::max(WallNow(), last_ + (steady - last_steady_));
  last_steady_ = steady;
  return last_;
}

}  // namespace slipstream::node
