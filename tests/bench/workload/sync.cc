// sync_1, sync_16, sync_64: so many threads put new keys, and each put returns when it is on disk.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "tests/bench/data_set.h"
#include "tests/bench/engine/engine_under_test.h"
#include "tests/bench/engine/open_engine.h"
#include "tests/bench/result_row.h"
#include "tests/bench/workload/measure.h"
#include "tests/bench/workload/workload.h"

namespace slipstream::bench {
namespace {

constexpr size_t kValueBytes = 100;
// LMDB has one writer at a time and no group commit: more threads would only take longer.
constexpr size_t kLmdbPutsMax = 10'000;

absl::StatusOr<std::vector<ResultRow>> PutDurably(const WorkloadRun& run, size_t writer_count,
                                                  size_t full_count) {
  const size_t key_count =
      run.Scaled(run.engine == kLmdb ? std::min(full_count, kLmdbPutsMax) : full_count);
  const DataSet data(DataSet::Kind::kIncompressible, kValueBytes);
  SLIP_ASSIGN_OR_RETURN(const std::unique_ptr<EngineUnderTest> engine,
                        OpenEngine(run.engine, {.directory = run.directory,
                                                .key_count = key_count,
                                                .value_bytes = kValueBytes,
                                                .durability = Durability::kEveryPut}));
  TimedPart part;
  const auto make_operation = [writer_count, &data](size_t thread_index) {
    Strided indexes(thread_index, writer_count);
    return [indexes, &data](EngineSession& session) mutable {
      const uint64_t index = indexes.Next();
      return session.Put(BenchKey(index).view(), data.ValueOf(index));
    };
  };
  SLIP_RETURN_IF_ERROR(RunThreads(*engine, writer_count, key_count, make_operation, part));
  SLIP_RETURN_IF_ERROR(RunTimed([&] { return engine->Settle(); }, part));
  const ResultRow row = RowOf(part, run.directory);
  SLIP_RETURN_IF_ERROR(VerifySample(*engine, data, {.key_count = key_count}));
  SLIP_RETURN_IF_ERROR(engine->Close());
  return std::vector<ResultRow>{row};
}

}  // namespace

void AddSyncWorkloads(std::vector<Workload>& workloads) {
  struct Size {
    size_t writer_count;
    size_t put_count;  // Some seconds' worth.
  };
  for (const Size size : {Size{1, 10'000}, Size{16, 60'000}, Size{64, 120'000}}) {
    workloads.push_back({.name = absl::StrCat("sync_", size.writer_count),
                         .engines = {kSlipstream, kLevelDb, kLmdb},
                         .run = [size](const WorkloadRun& run) {
                           return PutDurably(run, size.writer_count, size.put_count);
                         }});
  }
}

}  // namespace slipstream::bench
