#include "tests/sim/network.h"

namespace slipstream::sim {

void Network::Send(Endpoint from, Endpoint to, Duplicates duplicates, const Delivery& deliver) {
  // Drawn in any case, so that one fault more or less does not change all later ones.
  const bool is_lost = rng_.Fraction() < options_.loss;
  const bool is_duplicated = rng_.Fraction() < options_.duplicate;
  if (!is_lost) SendOnce(from, to, deliver);
  if (is_duplicated && duplicates == Duplicates::kPossible) SendOnce(from, to, deliver);
}

void Network::Clog(Endpoint from, Endpoint to, absl::Duration delay) {
  if (delay == absl::ZeroDuration()) {
    clogs_.erase({from, to});
  } else {
    clogs_[{from, to}] = delay;
  }
}

void Network::MendAll() {
  cuts_.clear();
  clogs_.clear();
}

void Network::SendOnce(Endpoint from, Endpoint to, const Delivery& deliver) {
  scheduler_->After(Delay(from, to), [this, from, to, deliver] {
    if (cuts_.count({from, to}) == 0) deliver();
  });
}

absl::Duration Network::Delay(Endpoint from, Endpoint to) {
  absl::Duration delay =
      options_.delay_min + (options_.delay_max - options_.delay_min) * rng_.Fraction();
  if (rng_.Fraction() < options_.tail) delay += options_.delay_tail_max * rng_.Fraction();
  const auto clog = clogs_.find({from, to});
  return clog == clogs_.end() ? delay : delay + clog->second;
}

}  // namespace slipstream::sim
