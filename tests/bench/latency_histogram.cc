#include "tests/bench/latency_histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace slipstream::bench {
namespace {

// Below 2^kExactBits each value has its bucket; above, each power of two has 2^(kExactBits - 1).
constexpr int kExactBits = 8;
constexpr int kBitsMax = 40;
constexpr uint64_t kHalf = uint64_t{1} << (kExactBits - 1);
constexpr size_t kBucketCount = (kBitsMax - kExactBits + 2) * kHalf;

size_t BucketOf(uint64_t value) {
  const int shift = std::max(0, static_cast<int>(std::bit_width(value)) - kExactBits);
  return static_cast<size_t>(shift) * kHalf + (value >> shift);
}

// The greatest value of the bucket.
uint64_t UpperEndOf(size_t bucket) {
  if (bucket < 2 * kHalf) return bucket;
  const uint64_t shift = bucket / kHalf - 1;
  return ((bucket - shift * kHalf + 1) << shift) - 1;
}

}  // namespace

LatencyHistogram::LatencyHistogram() : bucket_counts_(kBucketCount) {}

void LatencyHistogram::Record(uint64_t nanoseconds) {
  ++bucket_counts_[BucketOf(std::min(nanoseconds, (uint64_t{1} << kBitsMax) - 1))];
  ++count_;
}

void LatencyHistogram::Merge(const LatencyHistogram& other) {
  for (size_t i = 0; i < kBucketCount; ++i) bucket_counts_[i] += other.bucket_counts_[i];
  count_ += other.count_;
}

uint64_t LatencyHistogram::Percentile(double fraction) const {
  if (count_ == 0) return 0;
  const auto wanted = std::max<uint64_t>(
      1, static_cast<uint64_t>(std::ceil(fraction * static_cast<double>(count_))));
  uint64_t seen = 0;
  size_t bucket = 0;
  while (bucket + 1 < kBucketCount) {
    seen += bucket_counts_[bucket];
    if (seen >= wanted) break;
    ++bucket;
  }
  return UpperEndOf(bucket);
}

}  // namespace slipstream::bench
