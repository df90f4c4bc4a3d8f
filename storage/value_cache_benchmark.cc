// The value cache alone: what a hit, and a miss with its eviction, cost.

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/key_id.h"
#include "base/random.h"
#include "benchmark/benchmark.h"
#include "storage/value_cache.h"

namespace slipstream::storage {
namespace {

// Arguments: keys, one thread's share read at random; bytes of a value.
void BM_FindOrInsert(benchmark::State& state) {
  static std::unique_ptr<ValueCache> cache;
  if (state.thread_index() == 0) cache = std::make_unique<ValueCache>(64 << 20);
  const uint64_t key_count = static_cast<uint64_t>(state.range(0));
  const std::string value(static_cast<size_t>(state.range(1)), 'v');
  base::Random rng(static_cast<uint64_t>(state.thread_index()) + 1);
  for (auto unused : state) {
    const uint64_t number = rng.Below(key_count);
    const std::string key = absl::StrCat(number);
    const ValueCache::Place place{
        .key_id = base::KeyIdOf(key),
        .location = {.segment_number = 1, .offset = static_cast<uint32_t>(number)}};
    if (!cache->Find(place, key).has_value()) cache->Insert(place, key, value);
  }
  state.SetItemsProcessed(state.iterations());
  if (state.thread_index() == 0) {
    const ValueCacheStats stats = cache->stats();
    state.counters["hit_share"] = static_cast<double>(stats.hit_count) /
                                  static_cast<double>(stats.hit_count + stats.miss_count);
    cache.reset();
  }
}
BENCHMARK(BM_FindOrInsert)->Args({100'000, 100})->Args({2'000'000, 100})->ThreadRange(1, 2);

}  // namespace
}  // namespace slipstream::storage
