// The real clock: the one place of the project that reads the machine's time. Everybody else is
// handed it as an argument.
#ifndef SLIPSTREAM_NODE_REAL_CLOCK_H_
#define SLIPSTREAM_NODE_REAL_CLOCK_H_

#include "absl/time/time.h"

namespace slipstream::node {

// Returns the wall clock's time, which may go back. Thread-safe.
absl::Time WallNow();

// Returns the time since some moment of the past; never goes back. Thread-safe.
absl::Duration SteadyNow();

// The wall clock for those who need a time that never goes back: where the wall clock does, this
// one goes on from there at the steady clock's pace. Not thread-safe; owned by one thread.
class ForwardClock {
 public:
  ForwardClock() : last_(WallNow()), last_steady_(SteadyNow()) {}

  absl::Time Now();

 private:
  absl::Time last_;
  absl::Duration last_steady_;
};

}  // namespace slipstream::node

#endif  // SLIPSTREAM_NODE_REAL_CLOCK_H_
