#include "tests/bench/zipf.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "tests/bench/mix.h"

namespace slipstream::bench {
namespace {

double Zeta(uint64_t count, double theta) {
  double sum = 0;
  for (uint64_t i = 1; i <= count; ++i) sum += 1 / std::pow(static_cast<double>(i), theta);
  return sum;
}

}  // namespace

ZipfRanks::ZipfRanks(uint64_t count, double theta)
    : count_(count),
      theta_(theta),
      zeta_(Zeta(count, theta)),
      eta_((1 - std::pow(2 / static_cast<double>(count), 1 - theta)) /
           (1 - Zeta(2, theta) / zeta_)) {
  SLIP_CHECK(count > 1);
  SLIP_CHECK(theta > 0);
  SLIP_CHECK(theta < 1);
}

uint64_t ZipfRanks::Draw(base::Random& rng) const {
  const double fraction = rng.Fraction();
  const double scaled = fraction * zeta_;
  if (scaled < 1) return 0;
  if (scaled < 1 + std::pow(0.5, theta_)) return 1;
  const double rank =
      static_cast<double>(count_) * std::pow(eta_ * fraction - eta_ + 1, 1 / (1 - theta_));
  return std::min(count_ - 1, static_cast<uint64_t>(rank));
}

uint64_t ZipfIndexes::IndexOf(uint64_t rank) const { return Mix(rank) % count_; }

}  // namespace slipstream::bench
