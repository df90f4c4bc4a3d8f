#include "storage/sorted_log.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace slipstream::storage {
namespace {

// Fewer are not worth a merge.
constexpr size_t kMergedRunsMin = 4;
// A run is of one size with those above it if it is not longer than as many times their sum.
constexpr uint64_t kSizeRatio = 2;
// When idle, the newer runs must have this part of the oldest's bytes, one in so many.
constexpr uint64_t kIdleDivisor = 8;

}  // namespace

SortedLog::SortedLog() { view_.runs = std::make_shared<const RunSet>(Runs()); }

SortedLog::View SortedLog::view() const {
  absl::ReaderMutexLock lock(&mutex_);
  return view_;
}

uint64_t SortedLog::generation() const {
  absl::ReaderMutexLock lock(&mutex_);
  return view_.generation;
}

void SortedLog::Replace(Runs runs) {
  auto run_set = std::make_shared<const RunSet>(std::move(runs));
  absl::MutexLock lock(&mutex_);
  view_.runs.swap(run_set);
  ++view_.generation;
}

size_t RunsToMerge(const std::vector<uint64_t>& run_bytes) {
  size_t count = 0;
  uint64_t sum = 0;
  for (const uint64_t bytes : run_bytes) {
    if (count > 0 && bytes > kSizeRatio * sum) break;
    sum += bytes;
    ++count;
  }
  if (count >= kMergedRunsMin) return count;
  return run_bytes.size() >= kRunsTooMany ? std::max(count, kMergedRunsMin) : 0;
}

size_t RunsToMergeWhenIdle(const std::vector<uint64_t>& run_bytes) {
  if (run_bytes.size() < 2) return 0;
  const uint64_t newer_bytes = std::accumulate(run_bytes.begin(), run_bytes.end() - 1, uint64_t{0});
  return newer_bytes * kIdleDivisor >= run_bytes.back() ? run_bytes.size() : 0;
}

}  // namespace slipstream::storage
