// ycsb_a, ycsb_b: half, or one in twenty, of the operations are puts, the others gets, of keys of
// which few are frequent (zipf 0.99, scrambled). Without sync.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "tests/bench/data_set.h"
#include "tests/bench/engine/engine_under_test.h"
#include "tests/bench/engine/open_engine.h"
#include "tests/bench/result_row.h"
#include "tests/bench/workload/measure.h"
#include "tests/bench/workload/workload.h"
#include "tests/bench/zipf.h"

namespace slipstream::bench {
namespace {

constexpr size_t kKeyCount = 2'000'000;
constexpr size_t kValueBytes = 100;
constexpr size_t kOperationCount = 2'000'000;
constexpr double kTheta = 0.99;
// For the engines with a cache of their own; the others have the page cache.
constexpr uint64_t kCacheBytes = uint64_t{1} << 30;
// A put gives one of so many values, so that a get can tell that it got one of them.
constexpr uint32_t kGenerationCount = 4;

// One put in `put_period` operations.
Operation MixOf(size_t seed, uint64_t put_period, const ZipfIndexes& indexes, const DataSet& data) {
  base::Random rng(seed);
  return [rng, put_period, &indexes, &data](EngineSession& session) mutable {
    const uint64_t index = indexes.Draw(rng);
    if (!rng.OneIn(put_period)) {
      return GetAndVerify(session, data, index, kGenerationCount);
    }
    const auto generation = static_cast<uint32_t>(rng.Below(kGenerationCount));
    return session.Put(BenchKey(index).view(), data.ValueOf(index, generation));
  };
}

absl::StatusOr<std::vector<ResultRow>> RunMix(const WorkloadRun& run, uint64_t put_period) {
  const size_t key_count = run.Scaled(kKeyCount);
  const size_t operation_count = run.Scaled(kOperationCount);
  const DataSet data(DataSet::Kind::kIncompressible, kValueBytes);
  const ZipfIndexes indexes(key_count, kTheta);
  SLIP_ASSIGN_OR_RETURN(const std::unique_ptr<EngineUnderTest> engine,
                        OpenEngine(run.engine, {.directory = run.directory,
                                                .key_count = key_count,
                                                .value_bytes = kValueBytes,
                                                .cache_bytes = kCacheBytes}));
  SLIP_RETURN_IF_ERROR(Fill(*engine, data, 0, key_count));
  SLIP_RETURN_IF_ERROR(engine->Settle());
  SLIP_RETURN_IF_ERROR(engine->Compact());
  // So that all of them have in memory what they keep there: the others' files are in the page
  // cache since they were written. Twice, as a cache that resists scans keeps only what is read
  // again.
  SLIP_RETURN_IF_ERROR(VerifySample(*engine, data, {.key_count = key_count}));
  SLIP_RETURN_IF_ERROR(VerifySample(*engine, data, {.key_count = key_count}));
  TimedPart part;
  const auto make_operation = [&](size_t thread_index) {
    return MixOf(1 + thread_index, put_period, indexes, data);
  };
  SLIP_RETURN_IF_ERROR(
      RunThreads(*engine, run.thread_count, operation_count, make_operation, part));
  SLIP_RETURN_IF_ERROR(RunTimed([&] { return engine->Settle(); }, part));
  const ResultRow row = RowOf(part, run.directory);
  SLIP_RETURN_IF_ERROR(engine->Close());
  return std::vector<ResultRow>{row};
}

}  // namespace

void AddYcsbWorkloads(std::vector<Workload>& workloads) {
  const std::vector<std::string> all = {kSlipstream, kLevelDb, kLmdb, kTkrzw};
  workloads.push_back({.name = "ycsb_a", .engines = all, .run = [](const WorkloadRun& run) {
                         return RunMix(run, 2);
                       }});
  workloads.push_back({.name = "ycsb_b", .engines = all, .run = [](const WorkloadRun& run) {
                         return RunMix(run, 20);
                       }});
}

}  // namespace slipstream::bench
