// Tables of entries as large as the KeyDir's: 256 of them, as many items in all as the argument
// says.

#include <cstdint>
#include <cstring>
#include <deque>
#include <memory>

#include "base/check.h"
#include "base/key_id.h"
#include "base/random.h"
#include "benchmark/benchmark.h"
#include "storage/chunk_arena.h"
#include "storage/id_table.h"

namespace slipstream::storage {
namespace {

constexpr size_t kItemBytes = 66;
constexpr int64_t kItemCount = 2'000'000;

base::KeyId NumberedId(uint64_t number) {
  base::Random rng(number);
  base::KeyId id;
  for (uint8_t& byte : id.bytes) byte = static_cast<uint8_t>(rng.Next());
  return id;
}

// A table for each first byte.
class Tables {
 public:
  Tables() {
    for (int i = 0; i < base::kShardCount; ++i) tables_.emplace_back(&arena_, kItemBytes);
  }

  IdTable& Of(const base::KeyId& id) { return tables_[id.shard()]; }
  void Fill(uint64_t first, uint64_t end) {
    for (uint64_t number = first; number < end; ++number) {
      const base::KeyId id = NumberedId(number);
      Of(id).Insert(id);
    }
  }
  uint64_t Visit() {
    uint64_t count = 0;
    for (const IdTable& table : tables_) {
      table.Visit(base::RangeOf(base::KeyPrefix{}), [&count](const char*) {
        ++count;
        return true;
      });
    }
    return count;
  }
  double BytesPerItem() const {
    uint64_t bytes = 0;
    uint64_t count = 0;
    for (const IdTable& table : tables_) {
      bytes += table.bytes();
      count += table.item_count();
    }
    return static_cast<double>(bytes) / static_cast<double>(count);
  }

 private:
  ChunkArena arena_;
  std::deque<IdTable> tables_;
};

// What the ids of the others cost.
void BM_Ids(benchmark::State& state) {
  uint64_t number = 0;
  for (auto unused : state) benchmark::DoNotOptimize(NumberedId(number++));
}
BENCHMARK(BM_Ids);

void BM_Insert(benchmark::State& state) {
  const auto count = static_cast<uint64_t>(state.range(0));
  for (auto unused : state) {
    state.PauseTiming();
    auto tables = std::make_unique<Tables>();
    tables->Fill(0, count / 10);
    state.ResumeTiming();
    tables->Fill(count / 10, count);
    state.PauseTiming();
    state.counters["bytes_per_item"] = tables->BytesPerItem();
    tables.reset();
    state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(count - count / 10));
}
BENCHMARK(BM_Insert)->Arg(kItemCount)->Unit(benchmark::kMillisecond);

void BM_Find(benchmark::State& state) {
  const auto count = static_cast<uint64_t>(state.range(0));
  Tables tables;
  tables.Fill(0, count);
  base::Random rng(1);
  for (auto unused : state) {
    const base::KeyId id = NumberedId(rng.Below(count));
    SLIP_CHECK(tables.Of(id).Find(id) != nullptr);
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_Find)->Arg(kItemCount);

void BM_Visit(benchmark::State& state) {
  const auto count = static_cast<uint64_t>(state.range(0));
  Tables tables;
  tables.Fill(0, count);
  for (auto unused : state) SLIP_CHECK(tables.Visit() == count);
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(count));
}
BENCHMARK(BM_Visit)->Arg(kItemCount)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace slipstream::storage
