// reopen_clean, reopen_kill: opening a store of five million keys that was closed, or whose process
// was killed while it wrote, until the first get is answered and, where there is one, the root is
// known.
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <functional>
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

constexpr size_t kKeyCount = 5'000'000;
constexpr size_t kValueBytes = 100;
constexpr uint64_t kVerifiedStep = 50;

EngineOptions OptionsFor(const WorkloadRun& run) {
  return {
      .directory = run.directory, .key_count = run.Scaled(kKeyCount), .value_bytes = kValueBytes};
}

// Where the first process leaves the root for the second.
std::string RootPathOf(const WorkloadRun& run) { return run.directory + "/expected_root"; }

// Calls `ready` when so much was written that a start has something to read again.
absl::Status WriteUntilKilled(EngineUnderTest& engine, const DataSet& data, size_t key_count,
                              const std::function<void()>& ready) {
  const std::unique_ptr<EngineSession> session = engine.NewSession();
  // The values that the keys have already, so that the second process knows what to expect.
  for (uint64_t position = 0;; ++position) {
    if (position == key_count / 10) ready();
    const uint64_t index = ShuffledIndex(position, key_count, 0);
    SLIP_RETURN_IF_ERROR(session->Put(BenchKey(index).view(), data.ValueOf(index)));
  }
}

absl::Status Prepare(const WorkloadRun& run, bool is_killed, const std::function<void()>& ready) {
  const size_t key_count = run.Scaled(kKeyCount);
  const DataSet data(DataSet::Kind::kIncompressible, kValueBytes);
  SLIP_ASSIGN_OR_RETURN(const std::unique_ptr<EngineUnderTest> engine,
                        OpenEngine(run.engine, OptionsFor(run)));
  SLIP_RETURN_IF_ERROR(Fill(*engine, data, 0, key_count));
  SLIP_RETURN_IF_ERROR(engine->Settle());
  if (is_killed) {
    SLIP_RETURN_IF_ERROR(engine->Compact());
    return WriteUntilKilled(*engine, data, key_count, ready);
  }
  std::ofstream(RootPathOf(run)) << engine->Root();
  SLIP_RETURN_IF_ERROR(engine->Close());
  ready();
  return absl::OkStatus();
}

absl::Status CheckRoot(const WorkloadRun& run, const std::string& root) {
  std::string expected;
  std::ifstream(RootPathOf(run)) >> expected;
  if (root == expected) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("the root was ", expected, " and is ", root));
}

absl::StatusOr<std::vector<ResultRow>> Reopen(const WorkloadRun& run, bool is_killed) {
  const size_t key_count = run.Scaled(kKeyCount);
  const DataSet data(DataSet::Kind::kIncompressible, kValueBytes);
  std::unique_ptr<EngineUnderTest> engine;
  std::string root;
  TimedPart part;
  const auto open = [&]() -> absl::Status {
    SLIP_ASSIGN_OR_RETURN(engine, OpenEngine(run.engine, OptionsFor(run)));
    root = engine->Root();
    const std::unique_ptr<EngineSession> session = engine->NewSession();
    return GetAndVerify(*session, data, key_count / 2);
  };
  SLIP_RETURN_IF_ERROR(RunTimed(open, part));
  const ResultRow measured = RowOf(part, run.directory);
  if (!is_killed) SLIP_RETURN_IF_ERROR(CheckRoot(run, root));
  SLIP_RETURN_IF_ERROR(
      VerifySample(*engine, data, {.key_count = key_count, .step = kVerifiedStep}));
  SLIP_RETURN_IF_ERROR(engine->Close());
  return std::vector<ResultRow>{{.rss_bytes = measured.rss_bytes,
                                 .disk_bytes = measured.disk_bytes,
                                 .seconds = measured.seconds}};
}

}  // namespace

void AddReopenWorkloads(std::vector<Workload>& workloads) {
  for (const bool is_killed : {false, true}) {
    workloads.push_back(
        {.name = is_killed ? "reopen_kill" : "reopen_clean",
         .engines = {kSlipstream, kLevelDb, kLmdb, kTkrzw},
         .run = [is_killed](const WorkloadRun& run) { return Reopen(run, is_killed); },
         .prepare =
             [is_killed](const WorkloadRun& run, const std::function<void()>& ready) {
               return Prepare(run, is_killed, ready);
             },
         .is_killed = is_killed});
  }
}

}  // namespace slipstream::bench
