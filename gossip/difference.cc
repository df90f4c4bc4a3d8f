#include "gossip/difference.h"

#include <algorithm>

namespace slipstream::gossip {

void Difference::Observe(const base::Digest& own, const base::Digest& theirs, absl::Time now) {
  if (own == theirs) {
    *this = Difference(interval_);
    return;
  }
  if (!exists_) since_ = now;
  if (!exists_ || own != own_ || theirs != theirs_) unchanged_since_ = now;
  exists_ = true;
  own_ = own;
  theirs_ = theirs;
}

void Difference::OnSessionEnded(SessionOutcome outcome, absl::Time now, base::Random& rng) {
  prompt_ = outcome == SessionOutcome::kRepaired;
  if (prompt_) {
    ForgetBackoff();
    return;
  }
  backoff_ = std::clamp(backoff_ * 2, interval_, interval_ * kBackoffIntervalsMax);
  // Chance keeps two sides, or many peers of one, from trying in step for ever.
  not_before_ = now + backoff_ * (1 + rng.Fraction() / 2);
}

void Difference::ForgetBackoff() {
  backoff_ = absl::ZeroDuration();
  not_before_ = absl::InfinitePast();
}

bool Difference::neglected(absl::Time now) const {
  if (!exists_) return false;
  return now - unchanged_since_ >= interval_ / 2 || now - since_ >= interval_ * kPatienceIntervals;
}

}  // namespace slipstream::gossip
