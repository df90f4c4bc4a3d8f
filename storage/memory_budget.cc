#include "storage/memory_budget.h"

#include <algorithm>

namespace slipstream::storage {
namespace {

constexpr uint64_t kHotDivisor = 16;

// With many keys: docs/benchmarks.md, docs/sorted_log.md ("fence and block"), docs/merkle.md.
constexpr BytesPerKey kTypical{.keydir = 70, .runs = 1.6, .tree = 2.4};

double PerKey(uint64_t bytes, uint64_t key_count, double typical) {
  if (key_count < kMeasuredKeysMin) return typical;
  return static_cast<double>(bytes) / static_cast<double>(key_count);
}

}  // namespace

uint64_t HotBudgetBytes(uint64_t limit_bytes, uint64_t other_bytes) {
  const uint64_t usable = limit_bytes / 10 * 9;
  return std::max(usable - std::min(usable, other_bytes), limit_bytes / kHotDivisor);
}

BytesPerKey MeasureBytesPerKey(const MemoryUse& use) {
  return {
      .keydir = PerKey(use.keydir_bytes, use.hot_key_count, kTypical.keydir),
      .runs = PerKey(use.run_memory_bytes, use.run_entry_count, kTypical.runs),
      .tree = PerKey(use.tree_bytes, use.tree_key_count, kTypical.tree),
  };
}

MemoryForecast ForecastMemory(const MemoryUse& use, const MemoryBounds& bounds, uint64_t factor) {
  const BytesPerKey per_key = MeasureBytesPerKey(use);
  MemoryForecast forecast{.key_count = factor * use.key_count,
                          .value_cache_bytes = bounds.value_cache_bytes};
  const double key_count = static_cast<double>(forecast.key_count);
  forecast.keydir_bytes = static_cast<uint64_t>(key_count * per_key.keydir);
  forecast.run_memory_bytes = static_cast<uint64_t>(key_count * per_key.runs);
  forecast.tree_bytes =
      static_cast<uint64_t>(static_cast<double>(factor * use.tree_key_count) * per_key.tree);
  const uint64_t other_bytes =
      forecast.run_memory_bytes + forecast.tree_bytes + forecast.value_cache_bytes;
  forecast.all_hot_bytes = forecast.keydir_bytes + other_bytes;
  uint64_t hot_bytes = forecast.keydir_bytes;
  if (bounds.limit_bytes != 0) {
    hot_bytes =
        std::min(hot_bytes, HotBudgetBytes(bounds.limit_bytes, other_bytes + bounds.buffer_bytes));
  }
  if (forecast.keydir_bytes != 0) {
    forecast.hot_share =
        static_cast<double>(hot_bytes) / static_cast<double>(forecast.keydir_bytes);
  }
  forecast.memory_bytes = hot_bytes + other_bytes;
  return forecast;
}

}  // namespace slipstream::storage
