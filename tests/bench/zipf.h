// ZipfIndexes: draws of which few are frequent and many are rare, as YCSB's scrambled Zipfian.
#ifndef SLIPSTREAM_TESTS_BENCH_ZIPF_H_
#define SLIPSTREAM_TESTS_BENCH_ZIPF_H_

#include <cstdint>

#include "base/random.h"

namespace slipstream::bench {

// Gray, Sundaresan, Englert, Baclawski, Weinberger: "Quickly generating billion-record synthetic
// databases", SIGMOD 1994. Thread-safe: draws change the caller's `rng` only.
class ZipfRanks {
 public:
  // Ranks 0 to count - 1, rank r in proportion to 1 / (r + 1)^theta; count > 1, 0 < theta < 1.
  // Takes a time in proportion to `count`.
  ZipfRanks(uint64_t count, double theta);

  uint64_t Draw(base::Random& rng) const;
  // The share of all draws that is of rank 0.
  double top_share() const { return 1 / zeta_; }

 private:
  const uint64_t count_;
  const double theta_;
  const double zeta_;
  const double eta_;
};

// The same with the frequent ones strewn over all indexes: no neighbours in the order of the keys
// or of their loading. As in YCSB, two ranks may meet at one index. Thread-safe.
class ZipfIndexes {
 public:
  ZipfIndexes(uint64_t count, double theta) : count_(count), ranks_(count, theta) {}

  // Returns an index below `count`.
  uint64_t Draw(base::Random& rng) const { return IndexOf(ranks_.Draw(rng)); }
  uint64_t IndexOf(uint64_t rank) const;

 private:
  const uint64_t count_;
  const ZipfRanks ranks_;
};

}  // namespace slipstream::bench

#endif  // SLIPSTREAM_TESTS_BENCH_ZIPF_H_
