// What a session costs on the wire: two replicas of n keys, d of them overwritten, half on each
// side. The table of docs/merkle.md, section 4.5.
#include <cstdint>
#include <memory>
#include <vector>

#include "base/check.h"
#include "base/key_id.h"
#include "base/random.h"
#include "base/version.h"
#include "benchmark/benchmark.h"
#include "merkle/reconcile.h"
#include "merkle/testing/fake_replica.h"
#include "merkle/testing/loopback.h"

namespace slipstream::merkle {
namespace {

// Two replicas, the same but for some keys.
struct Pair {
  testing::FakeReplica left;
  testing::FakeReplica right;
  std::vector<base::KeyId> key_ids;
  base::Random rng{1};
  base::Hlc hlc = 1;

  explicit Pair(int64_t key_count) {
    for (int64_t i = 0; i < key_count; ++i) {
      const testing::FakeRecord record = testing::RandomRecord(rng, hlc++);
      key_ids.push_back(testing::RandomKeyId(rng));
      left.Set(key_ids.back(), record);
      right.Set(key_ids.back(), record);
    }
  }

  // Makes `count` more keys differ, half of them newer on each side.
  void Diverge(size_t count) {
    // The first keys change places with drawn ones, so that no key is drawn twice.
    for (size_t i = 0; i < count; ++i) {
      std::swap(key_ids[i], key_ids[i + rng.Below(key_ids.size() - i)]);
      (i % 2 == 0 ? left : right).Set(key_ids[i], testing::RandomRecord(rng, hlc++));
    }
  }

  // Makes both equal again.
  void Heal(const testing::SessionResult& found) {
    for (const EntrySummary& entry : found.needed)
      left.Apply(entry.key_id, *right.Find(entry.key_id));
    for (const base::KeyId& key_id : found.offered) right.Apply(key_id, *left.Find(key_id));
    SLIP_CHECK(left.tree().Root() == right.tree().Root());
  }
};

Pair& PairOf(int64_t key_count) {
  static std::unique_ptr<Pair> pair;
  if (pair == nullptr || pair->key_ids.size() != static_cast<size_t>(key_count)) {
    pair = nullptr;
    pair = std::make_unique<Pair>(key_count);
  }
  return *pair;
}

// Arguments: keys, differences, list_entries_max.
void BM_Session(benchmark::State& state) {
  Pair& pair = PairOf(state.range(0));
  const auto difference_count = static_cast<size_t>(state.range(1));
  testing::SessionOptions options;
  options.initiator_limits.list_entries_max = static_cast<size_t>(state.range(2));
  options.responder_limits = options.initiator_limits;
  double bytes = 0;
  double round_trips = 0;
  for (auto _ : state) {
    state.PauseTiming();
    pair.Diverge(difference_count);
    pair.left.tree().Root();
    pair.right.tree().Root();
    state.ResumeTiming();
    const testing::SessionResult result =
        testing::RunSession(pair.left, pair.right, options, pair.rng);
    state.PauseTiming();
    SLIP_CHECK(result.status.ok());
    SLIP_CHECK(result.needed.size() + result.offered.size() == difference_count);
    pair.Heal(result);
    bytes += static_cast<double>(result.request_bytes + result.response_bytes);
    round_trips += static_cast<double>(result.round_trips);
    state.ResumeTiming();
  }
  const auto sessions = static_cast<double>(state.iterations());
  state.counters["bytes"] = bytes / sessions;
  state.counters["bytes_per_difference"] = bytes / sessions / static_cast<double>(difference_count);
  state.counters["round_trips"] = round_trips / sessions;
}
BENCHMARK(BM_Session)
    ->ArgsProduct({{100'000}, {1, 10, 100, 1000, 10'000}, {2, 4, 6, 8, 16}})
    ->ArgsProduct({{1'000'000}, {1, 10, 100, 1000, 10'000}, {2, 4, 6, 8, 16}})
    ->Iterations(20)
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace slipstream::merkle
