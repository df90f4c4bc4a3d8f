// overwrite_3: every key is put three times more, and the space settles. compaction: puts while the
// engine compacts, beside the same puts while it must not (compaction_off). memory_limit: twenty
// million keys under a limit of 256 MiB.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "tests/bench/data_set.h"
#include "tests/bench/engine/engine_under_test.h"
#include "tests/bench/engine/open_engine.h"
#include "tests/bench/process_figures.h"
#include "tests/bench/result_row.h"
#include "tests/bench/workload/measure.h"
#include "tests/bench/workload/workload.h"

namespace slipstream::bench {
namespace {

constexpr size_t kOverwrittenKeyCount = 1'000'000;
constexpr size_t kRandomPutCount = 2'000'000;
constexpr size_t kOverwrittenValueBytes = 1024;
constexpr uint32_t kOverwriteCount = 3;
constexpr uint64_t kVerifiedStep = 16;

constexpr size_t kLimitedKeyCount = 20'000'000;
constexpr size_t kLimitedValueBytes = 100;
constexpr size_t kLimitedGetCount = 1'000'000;
constexpr double kMemoryLimitBytes = 256 << 20;

// Puts every key once more, in an order that is far from that in which they are stored.
absl::Status Overwrite(EngineUnderTest& engine, const WorkloadRun& run, const DataSet& data,
                       size_t key_count, uint32_t generation, TimedPart& part) {
  const auto make_operation = [&, generation](size_t thread_index) {
    Strided positions(thread_index, run.thread_count);
    return [positions, key_count, generation, &data](EngineSession& session) mutable {
      const uint64_t index = ShuffledIndex(positions.Next(), key_count, generation);
      return session.Put(BenchKey(index).view(), data.ValueOf(index, generation));
    };
  };
  return RunThreads(engine, run.thread_count, key_count, make_operation, part);
}

// Puts keys drawn at random, which leaves some current records in every segment, with the values
// that they have.
absl::Status PutAtRandom(EngineUnderTest& engine, const WorkloadRun& run, const DataSet& data,
                         size_t key_count, uint64_t seed, TimedPart& part) {
  const auto make_operation = [key_count, seed, &data](size_t thread_index) {
    base::Random rng(seed + thread_index);
    return [rng, key_count, &data](EngineSession& session) mutable {
      const uint64_t index = rng.Below(key_count);
      return session.Put(BenchKey(index).view(), data.ValueOf(index));
    };
  };
  return RunThreads(engine, run.thread_count, run.Scaled(kRandomPutCount), make_operation, part);
}

absl::StatusOr<std::unique_ptr<EngineUnderTest>> OpenForOverwriting(const WorkloadRun& run) {
  return OpenEngine(run.engine, {.directory = run.directory,
                                 .key_count = run.Scaled(kOverwrittenKeyCount),
                                 .value_bytes = kOverwrittenValueBytes});
}

absl::StatusOr<std::vector<ResultRow>> OverwriteThrice(const WorkloadRun& run) {
  const size_t key_count = run.Scaled(kOverwrittenKeyCount);
  const DataSet data(DataSet::Kind::kIncompressible, kOverwrittenValueBytes);
  SLIP_ASSIGN_OR_RETURN(const std::unique_ptr<EngineUnderTest> engine, OpenForOverwriting(run));
  SLIP_RETURN_IF_ERROR(Fill(*engine, data, 0, key_count));
  SLIP_RETURN_IF_ERROR(engine->Settle());
  TimedPart part;
  for (uint32_t generation = 1; generation <= kOverwriteCount; ++generation) {
    SLIP_RETURN_IF_ERROR(Overwrite(*engine, run, data, key_count, generation, part));
  }
  SLIP_RETURN_IF_ERROR(RunTimed([&] { return engine->Settle(); }, part));
  SLIP_RETURN_IF_ERROR(RunTimed([&] { return engine->Compact(); }, part));
  const ResultRow row = RowOf(part, run.directory);
  SLIP_RETURN_IF_ERROR(
      VerifySample(*engine, data,
                   {.key_count = key_count, .step = kVerifiedStep, .generation = kOverwriteCount}));
  SLIP_RETURN_IF_ERROR(engine->Close());
  return std::vector<ResultRow>{row};
}

absl::StatusOr<std::vector<ResultRow>> PutWhileCompacting(const WorkloadRun& run) {
  const size_t key_count = run.Scaled(kOverwrittenKeyCount);
  const DataSet data(DataSet::Kind::kIncompressible, kOverwrittenValueBytes);
  SLIP_ASSIGN_OR_RETURN(const std::unique_ptr<EngineUnderTest> engine, OpenForOverwriting(run));
  SLIP_RETURN_IF_ERROR(engine->SetCompaction(false));
  SLIP_RETURN_IF_ERROR(Fill(*engine, data, 0, key_count));
  SLIP_RETURN_IF_ERROR(engine->Settle());
  TimedPart without;
  SLIP_RETURN_IF_ERROR(PutAtRandom(*engine, run, data, key_count, /*seed=*/1, without));
  ResultRow without_row = RowOf(without, run.directory);
  without_row.workload = "compaction_off";
  const uint64_t compacted_before = engine->figures().compacted_bytes.value_or(0);
  SLIP_RETURN_IF_ERROR(engine->SetCompaction(true));
  TimedPart with;
  SLIP_RETURN_IF_ERROR(PutAtRandom(*engine, run, data, key_count, /*seed=*/100, with));
  if (engine->figures().compacted_bytes.value_or(0) == compacted_before) {
    return absl::UnimplementedError("at this scale nothing was compacted while the puts ran");
  }
  const ResultRow with_row = RowOf(with, run.directory);
  SLIP_RETURN_IF_ERROR(
      VerifySample(*engine, data, {.key_count = key_count, .step = kVerifiedStep}));
  SLIP_RETURN_IF_ERROR(engine->Close());
  return std::vector<ResultRow>{with_row, without_row};
}

absl::StatusOr<std::vector<ResultRow>> StayBelowLimit(const WorkloadRun& run) {
  const size_t key_count = run.Scaled(kLimitedKeyCount);
  const DataSet data(DataSet::Kind::kIncompressible, kLimitedValueBytes);
  SLIP_ASSIGN_OR_RETURN(
      const std::unique_ptr<EngineUnderTest> engine,
      OpenEngine(run.engine, {.directory = run.directory,
                              .key_count = key_count,
                              .value_bytes = kLimitedValueBytes,
                              .memory_limit_bytes = static_cast<uint64_t>(kMemoryLimitBytes)}));
  TimedPart part;
  for (const uint32_t generation : {0u, 1u}) {
    SLIP_RETURN_IF_ERROR(Overwrite(*engine, run, data, key_count, generation, part));
  }
  const auto make_get = [key_count, &data](size_t thread_index) {
    base::Random rng(thread_index + 1);
    return [rng, key_count, &data](EngineSession& session) mutable {
      return GetAndVerify(session, data, rng.Below(key_count), 2);
    };
  };
  SLIP_RETURN_IF_ERROR(
      RunThreads(*engine, run.thread_count, run.Scaled(kLimitedGetCount), make_get, part));
  SLIP_RETURN_IF_ERROR(RunTimed([&] { return engine->Settle(); }, part));
  SLIP_RETURN_IF_ERROR(RunTimed([&] { return engine->Compact(); }, part));
  SLIP_RETURN_IF_ERROR(VerifySample(*engine, data,
                                    {.key_count = key_count,
                                     .step = kVerifiedStep,
                                     .generation = 1,
                                     .thread_count = run.thread_count}));
  ResultRow row = RowOf(part, run.directory);
  // Through all of it, not at its end.
  row.rss_bytes = static_cast<double>(FiguresOfThisProcess().peak_resident_bytes);
  if (const auto bytes = engine->figures().index_bytes; bytes.has_value()) {
    row.bytes_per_key = static_cast<double>(*bytes) / static_cast<double>(key_count);
  }
  SLIP_RETURN_IF_ERROR(engine->Close());
  return std::vector<ResultRow>{row};
}

}  // namespace

double OverwrittenLiveBytes(const WorkloadRun& run) {
  return static_cast<double>(run.Scaled(kOverwrittenKeyCount) *
                             (kBenchKeyBytes + kOverwrittenValueBytes));
}

void AddSpaceWorkloads(std::vector<Workload>& workloads) {
  workloads.push_back({.name = "overwrite_3",
                       .engines = {kSlipstream, kLevelDb, kLmdb, kTkrzw},
                       .run = OverwriteThrice});
  workloads.push_back({.name = "memory_limit", .engines = {kSlipstream}, .run = StayBelowLimit});
  workloads.push_back({.name = "compaction", .engines = {kSlipstream}, .run = PutWhileCompacting});
}

}  // namespace slipstream::bench
