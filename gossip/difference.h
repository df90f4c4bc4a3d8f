// Difference: how long the roots of two nodes have differed, and how the repair of it fares.
//
// Whether a repair session may start now is decided here from times alone; which side starts, and
// how many sessions run, is Gossip's affair.
#ifndef SLIPSTREAM_GOSSIP_DIFFERENCE_H_
#define SLIPSTREAM_GOSSIP_DIFFERENCE_H_

#include "absl/time/time.h"
#include "base/digest.h"
#include "base/random.h"

namespace slipstream::gossip {

// How a repair session ended.
enum class SessionOutcome {
  kRepaired,  // Some record was newer than what one of the sides had.
  kNothing,   // It ended well and moved nothing new: the difference was on its way otherwise.
  kFailed,
};

// Not thread-safe; owned by Gossip, one for each peer.
class Difference {
 public:
  explicit Difference(absl::Duration interval) : interval_(interval) {}

  // Compares the roots as of `now`. Equal ones forget everything, backoff included.
  void Observe(const base::Digest& own, const base::Digest& theirs, absl::Time now);
  // Makes the next session wait: the longer, the more of them in a row were of no use, but never
  // longer than kBackoffIntervalsMax intervals and half as much again for chance. kRepaired makes
  // it prompt instead.
  void OnSessionEnded(SessionOutcome outcome, absl::Time now, base::Random& rng);
  // A peer that was away and is back deserves a session without delay.
  void ForgetBackoff();

  bool exists() const { return exists_; }
  // No session before this.
  absl::Time not_before() const { return not_before_; }
  // The last session brought something and the roots differ still: go on at once.
  bool prompt() const { return prompt_; }
  // Nobody seems to repair it: neither root has moved for half an interval, or it has lasted for
  // kPatienceIntervals of them.
  bool neglected(absl::Time now) const;

  static constexpr int kBackoffIntervalsMax = 16;
  static constexpr int kPatienceIntervals = 8;

 private:
  absl::Duration interval_;
  bool exists_ = false;
  base::Digest own_;
  base::Digest theirs_;
  absl::Time since_;            // The roots differ since then,
  absl::Time unchanged_since_;  // and are what they are now since then.
  absl::Duration backoff_ = absl::ZeroDuration();
  absl::Time not_before_ = absl::InfinitePast();
  bool prompt_ = false;
};

}  // namespace slipstream::gossip

#endif  // SLIPSTREAM_GOSSIP_DIFFERENCE_H_
