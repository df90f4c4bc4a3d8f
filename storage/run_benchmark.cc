// Runs of the Sorted Log over a file system in memory: what the processor pays, without a disk.
// Keys are uniform, as SHA-256 makes them. `bytes_per_key` is the memory of an open run.

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/check.h"
#include "base/key_id.h"
#include "base/random.h"
#include "benchmark/benchmark.h"
#include "storage/memory_file_system.h"
#include "storage/run_format.h"
#include "storage/run_reader.h"
#include "storage/run_writer.h"
#include "storage/testing/small_runs.h"

namespace slipstream::storage {
namespace {

constexpr uint64_t kEntryCount = 1'000'000;

base::KeyId DrawKeyId(base::Random& rng) {
  base::KeyId key_id;
  const std::string bytes = rng.Bytes(base::kKeyIdBytes);
  std::copy(bytes.begin(), bytes.end(), key_id.bytes.begin());
  return key_id;
}

std::vector<base::KeyId> SortedKeyIds() {
  base::Random rng(1);
  std::vector<base::KeyId> key_ids(kEntryCount);
  for (base::KeyId& key_id : key_ids) key_id = DrawKeyId(rng);
  std::sort(key_ids.begin(), key_ids.end());
  return key_ids;
}

void Write(MemoryFileSystem& fs, const std::vector<base::KeyId>& key_ids) {
  absl::StatusOr<std::unique_ptr<RunWriter>> writer = RunWriter::Create(
      &fs, testing::kRunDirectory, {.node_id = testing::kRunNodeId, .run_number = 1});
  SLIP_CHECK_OK(writer.status());
  RunEntry entry;
  for (const base::KeyId& key_id : key_ids) {
    entry.located.entry.key_id = key_id;
    SLIP_CHECK_OK((*writer)->Add(entry));
  }
  SLIP_CHECK_OK((*writer)->Finish().status());
}

// An open run of kEntryCount entries.
struct OpenRun {
  OpenRun() : key_ids(SortedKeyIds()) {
    SLIP_CHECK_OK(fs.CreateDirectory(testing::kRunDirectory));
    Write(fs, key_ids);
    absl::StatusOr<std::unique_ptr<SortedRun>> opened = SortedRun::Open(
        &fs, testing::kRunDirectory, {.node_id = testing::kRunNodeId, .run_number = 1});
    SLIP_CHECK_OK(opened.status());
    run = *std::move(opened);
  }

  MemoryFileSystem fs;
  std::vector<base::KeyId> key_ids;
  std::unique_ptr<SortedRun> run;
};

void BM_Build(benchmark::State& state) {
  const std::vector<base::KeyId> key_ids = SortedKeyIds();
  for (auto _ : state) {
    MemoryFileSystem fs;
    SLIP_CHECK_OK(fs.CreateDirectory(testing::kRunDirectory));
    Write(fs, key_ids);
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kEntryCount));
}
BENCHMARK(BM_Build)->Unit(benchmark::kMillisecond);

void BM_FindPresent(benchmark::State& state) {
  const OpenRun open;
  base::Random rng(2);
  for (auto _ : state) {
    auto found = open.run->Find(open.key_ids[rng.Below(kEntryCount)]);
    SLIP_CHECK(found.ok() && found->has_value());
  }
  state.SetItemsProcessed(state.iterations());
  state.counters["bytes_per_key"] =
      static_cast<double>(open.run->memory_bytes()) / static_cast<double>(kEntryCount);
}
BENCHMARK(BM_FindPresent);

void BM_MayContainAbsent(benchmark::State& state) {
  const OpenRun open;
  base::Random rng(2);
  std::vector<base::KeyId> absent(1 << 16);
  for (base::KeyId& key_id : absent) key_id = DrawKeyId(rng);
  uint64_t asked = 0;
  uint64_t false_positives = 0;
  for (auto _ : state) {
    false_positives += open.run->MayContain(absent[asked++ % absent.size()]);
  }
  state.SetItemsProcessed(state.iterations());
  state.counters["false_positives"] =
      static_cast<double>(false_positives) / static_cast<double>(std::max<uint64_t>(asked, 1));
}
BENCHMARK(BM_MayContainAbsent);

}  // namespace
}  // namespace slipstream::storage
