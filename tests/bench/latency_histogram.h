// LatencyHistogram: how long each of many operations took, in bounded memory, so that recording
// does not change the memory that is being measured.
#ifndef SLIPSTREAM_TESTS_BENCH_LATENCY_HISTOGRAM_H_
#define SLIPSTREAM_TESTS_BENCH_LATENCY_HISTOGRAM_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace slipstream::bench {

// Counts in buckets whose width is at most 1/128 of their value, as HdrHistogram does. Takes 34
// KiB. Not thread-safe: one for each thread, merged when they are done.
class LatencyHistogram {
 public:
  LatencyHistogram();

  // `nanoseconds` beyond 2^40 (18 minutes) count as that.
  void Record(uint64_t nanoseconds);
  void Merge(const LatencyHistogram& other);

  uint64_t count() const { return count_; }
  // Returns the least upper end of a bucket, in nanoseconds, that at least `fraction` (0 to 1) of
  // what was recorded does not exceed; 0 if nothing was.
  uint64_t Percentile(double fraction) const;

 private:
  std::vector<uint64_t> bucket_counts_;
  uint64_t count_ = 0;
};

}  // namespace slipstream::bench

#endif  // SLIPSTREAM_TESTS_BENCH_LATENCY_HISTOGRAM_H_
