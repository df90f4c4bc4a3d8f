// What the tree costs: the root after one write, a bulk load per key, memory per key, a proof.
#include <cstdint>
#include <memory>
#include <vector>

#include "base/key_id.h"
#include "base/random.h"
#include "benchmark/benchmark.h"
#include "merkle/testing/fake_replica.h"
#include "merkle/tree.h"

namespace slipstream::merkle {
namespace {

struct Filled {
  testing::FakeReplica replica;
  std::vector<base::KeyId> key_ids;
  base::Random rng{1};
};

std::unique_ptr<Filled> Fill(int64_t count) {
  auto filled = std::make_unique<Filled>();
  for (int64_t i = 0; i < count; ++i) {
    filled->key_ids.push_back(testing::RandomKeyId(filled->rng));
    filled->replica.Set(filled->key_ids.back(),
                        testing::RandomRecord(filled->rng, static_cast<base::Hlc>(i)));
  }
  return filled;
}

void BM_RootAfterBulkLoad(benchmark::State& state) {
  const std::unique_ptr<Filled> filled = Fill(state.range(0));
  for (auto _ : state) {
    state.PauseTiming();
    auto tree = std::make_unique<Tree>(&filled->replica);
    for (const base::KeyId& key_id : filled->key_ids) tree->MarkDirty(key_id);
    state.ResumeTiming();
    benchmark::DoNotOptimize(tree->Root());
    state.counters["bytes_per_key"] =
        static_cast<double>(tree->memory_bytes()) / static_cast<double>(state.range(0));
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_RootAfterBulkLoad)->Arg(100'000)->Arg(1'000'000)->Unit(benchmark::kMillisecond);

void BM_RootAfterOneWrite(benchmark::State& state) {
  const std::unique_ptr<Filled> filled = Fill(state.range(0));
  benchmark::DoNotOptimize(filled->replica.tree().Root());
  for (auto _ : state) {
    const base::KeyId& key_id = filled->key_ids[filled->rng.Below(filled->key_ids.size())];
    filled->replica.Set(key_id, testing::RandomRecord(filled->rng, 1));
    benchmark::DoNotOptimize(filled->replica.tree().Root());
  }
}
BENCHMARK(BM_RootAfterOneWrite)->Arg(1'000'000)->Unit(benchmark::kMicrosecond);

void BM_MarkDirty(benchmark::State& state) {
  const std::unique_ptr<Filled> filled = Fill(state.range(0));
  benchmark::DoNotOptimize(filled->replica.tree().Root());
  size_t next = 0;
  for (auto _ : state) {
    filled->replica.tree().MarkDirty(filled->key_ids[next++ % filled->key_ids.size()]);
  }
}
BENCHMARK(BM_MarkDirty)->Arg(100'000);

void BM_Prove(benchmark::State& state) {
  const std::unique_ptr<Filled> filled = Fill(state.range(0));
  benchmark::DoNotOptimize(filled->replica.tree().Root());
  for (auto _ : state) {
    const base::KeyId& key_id = filled->key_ids[filled->rng.Below(filled->key_ids.size())];
    benchmark::DoNotOptimize(filled->replica.tree().Prove(key_id));
  }
}
BENCHMARK(BM_Prove)->Arg(1'000'000)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace slipstream::merkle
