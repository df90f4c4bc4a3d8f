// load_100, load_1k, load_compressible: two threads put new keys, one each call, without sync.
// tree_off, tree_on: the first of them on Slipstream alone, without and with its Merkle tree.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
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

constexpr size_t kKeyCount = 2'000'000;
// Every so many keys one is read back when the clock has stopped.
constexpr uint64_t kVerifiedStep = 16;
// Below, what the heap rounds up to is more than what a key takes.
constexpr size_t kKeysForMemoryMin = 100'000;

struct LoadSpec {
  size_t value_bytes = 100;
  DataSet::Kind kind = DataSet::Kind::kIncompressible;
  bool keeps_tree = true;
};

absl::Status PutRange(EngineUnderTest& engine, const WorkloadRun& run, const DataSet& data,
                      uint64_t first, uint64_t end, TimedPart& part) {
  const auto make_operation = [&run, &data, first](size_t thread_index) {
    Strided indexes(first + thread_index, run.thread_count);
    return [indexes, &data](EngineSession& session) mutable {
      const uint64_t index = indexes.Next();
      return session.Put(BenchKey(index).view(), data.ValueOf(index));
    };
  };
  return RunThreads(engine, run.thread_count, end - first, make_operation, part);
}

absl::StatusOr<std::vector<ResultRow>> Load(const WorkloadRun& run, const LoadSpec& spec) {
  const size_t key_count = run.Scaled(kKeyCount);
  const DataSet data(spec.kind, spec.value_bytes);
  SLIP_ASSIGN_OR_RETURN(
      const std::unique_ptr<EngineUnderTest> engine,
      OpenEngine(run.engine, {.directory = run.directory,
                              .key_count = key_count,
                              .value_bytes = spec.value_bytes,
                              .is_compressible = spec.kind == DataSet::Kind::kText,
                              .keeps_tree = spec.keeps_tree}));
  TimedPart part;
  // By then every buffer has been in use, so that what memory grows by afterwards is the keys'.
  const size_t warm_count = key_count / 10;
  SLIP_RETURN_IF_ERROR(PutRange(*engine, run, data, 0, warm_count, part));
  const uint64_t anonymous_before = FiguresOfThisProcess().anonymous_bytes;
  SLIP_RETURN_IF_ERROR(PutRange(*engine, run, data, warm_count, key_count, part));
  SLIP_RETURN_IF_ERROR(RunTimed([&] { return engine->Settle(); }, part));
  ResultRow row = RowOf(part, run.directory);
  const size_t counted = key_count - warm_count;
  // Others keep their index in the file, or in a cache of a fixed size.
  if (run.engine == kSlipstream && counted >= kKeysForMemoryMin) {
    const double grown = static_cast<double>(FiguresOfThisProcess().anonymous_bytes) -
                         static_cast<double>(anonymous_before);
    row.bytes_per_key = grown / static_cast<double>(counted);
  }
  SLIP_RETURN_IF_ERROR(
      VerifySample(*engine, data, {.key_count = key_count, .step = kVerifiedStep}));
  SLIP_RETURN_IF_ERROR(engine->Close());
  return std::vector<ResultRow>{row};
}

Workload MakeLoad(std::string name, std::vector<std::string> engines, const LoadSpec& spec) {
  return {.name = std::move(name),
          .engines = std::move(engines),
          .run = [spec](const WorkloadRun& run) { return Load(run, spec); }};
}

}  // namespace

void AddLoadWorkloads(std::vector<Workload>& workloads) {
  const std::vector<std::string> all = {kSlipstream, kLevelDb, kLmdb, kTkrzw};
  workloads.push_back(MakeLoad("load_100", all, {}));
  workloads.push_back(MakeLoad("load_1k", all, {.value_bytes = 1024}));
  workloads.push_back(
      MakeLoad("load_compressible", all, {.value_bytes = 1024, .kind = DataSet::Kind::kText}));
  workloads.push_back(MakeLoad("tree_off", {kSlipstream}, {.keeps_tree = false}));
  workloads.push_back(MakeLoad("tree_on", {kSlipstream}, {.keeps_tree = true}));
}

}  // namespace slipstream::bench
