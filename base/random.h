// Random: the one source of chance for deterministic code.
//
// The core never asks the machine for randomness: whoever starts it hands in a Random, seeded from
// the operating system in a daemon and from the run's seed in a simulation. Not for secrets.
#ifndef SLIPSTREAM_BASE_RANDOM_H_
#define SLIPSTREAM_BASE_RANDOM_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace slipstream::base {

// xoshiro256** 1.0 (Blackman and Vigna, "Scrambled linear pseudorandom number generators", 2018),
// its state filled from the seed by splitmix64. The same seed gives the same numbers on every
// machine and in every release. Not thread-safe.
class Random {
 public:
  explicit Random(uint64_t seed);

  // Returns 64 uniform bits.
  uint64_t Next();
  // Returns a uniform number below `bound`, which must not be 0.
  uint64_t Below(uint64_t bound);
  // Returns true once in `period` calls on average; `period` must not be 0.
  bool OneIn(uint64_t period) { return Below(period) == 0; }
  // Returns a uniform number of [0, 1).
  double Fraction();
  // Returns `count` uniform bytes.
  std::string Bytes(size_t count);
  // Returns a generator of its own whose numbers do not depend on later calls of this one.
  Random Fork() { return Random(Next()); }

 private:
  std::array<uint64_t, 4> state_;
};

}  // namespace slipstream::base

#endif  // SLIPSTREAM_BASE_RANDOM_H_
