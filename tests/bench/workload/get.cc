// get_cached: uniform gets of keys whose values are all in the cache. get_disk_hot: none is, but
// the index says where each is. get_disk_cold: the index is on disk, too. The last two, which read
// the disk, are compared with what fio reads at the same depth.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "tests/bench/data_set.h"
#include "tests/bench/engine/device.h"
#include "tests/bench/engine/engine_under_test.h"
#include "tests/bench/engine/open_engine.h"
#include "tests/bench/process_figures.h"
#include "tests/bench/result_row.h"
#include "tests/bench/workload/measure.h"
#include "tests/bench/workload/workload.h"

namespace slipstream::bench {
namespace {

constexpr size_t kKeyCount = 2'000'000;
constexpr size_t kValueBytes = 100;
constexpr size_t kCachedGetCount = 4'000'000;
constexpr size_t kDiskGetCount = 400'000;
// Room for all values and what a cache keeps beside each, in all its parts.
constexpr uint64_t kCacheBytesPerKey = 512;
constexpr uint64_t kCacheBytesMin = 64 << 20;
constexpr uint64_t kPageBytes = 4096;
// More than Slipstream's log takes for a key.
constexpr uint64_t kDeviceBytesPerKey = 320;
constexpr double kDeviceSeconds = 5;
// Less than the engine's other parts take: what it lets keys have nevertheless, a sixteenth of the
// limit, has room for fewer than kHotShareMax of them.
constexpr uint64_t kColdMemoryBytesPerKey = 4;
constexpr double kHotShareMax = 0.01;

Operation UniformGets(size_t thread_index, size_t key_count, const DataSet& data) {
  base::Random rng(thread_index + 1);
  return [rng, key_count, &data](EngineSession& session) mutable {
    return GetAndVerify(session, data, rng.Below(key_count));
  };
}

absl::Status CheckCacheWasRead(const TimedPart& part, uint64_t hit_count) {
  if (hit_count == part.operation_count) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("the value cache answered only ", hit_count, " of ",
                                          part.operation_count, " gets"));
}

absl::StatusOr<std::vector<ResultRow>> GetCached(const WorkloadRun& run) {
  const size_t key_count = run.Scaled(kKeyCount);
  const DataSet data(DataSet::Kind::kIncompressible, kValueBytes);
  SLIP_ASSIGN_OR_RETURN(
      const std::unique_ptr<EngineUnderTest> engine,
      OpenEngine(run.engine, {.directory = run.directory,
                              .key_count = key_count,
                              .value_bytes = kValueBytes,
                              .cache_bytes = kCacheBytesMin + key_count * kCacheBytesPerKey}));
  SLIP_RETURN_IF_ERROR(Fill(*engine, data, 0, key_count));
  SLIP_RETURN_IF_ERROR(engine->Settle());
  SLIP_RETURN_IF_ERROR(engine->Compact());
  // Twice, as a cache that resists scans keeps for long only what is read again.
  SLIP_RETURN_IF_ERROR(VerifySample(*engine, data, {.key_count = key_count}));
  SLIP_RETURN_IF_ERROR(VerifySample(*engine, data, {.key_count = key_count}));
  const absl::optional<uint64_t> hits_before = engine->figures().cache_hit_count;
  TimedPart part;
  const auto make_operation = [key_count, &data](size_t thread_index) {
    return UniformGets(thread_index, key_count, data);
  };
  SLIP_RETURN_IF_ERROR(
      RunThreads(*engine, run.thread_count, run.Scaled(kCachedGetCount), make_operation, part));
  if (hits_before.has_value()) {
    SLIP_RETURN_IF_ERROR(
        CheckCacheWasRead(part, *engine->figures().cache_hit_count - *hits_before));
  }
  const ResultRow row = RowOf(part, run.directory);
  SLIP_RETURN_IF_ERROR(engine->Close());
  return std::vector<ResultRow>{row};
}

// The same read on the same device without an engine.
absl::StatusOr<std::vector<ResultRow>> ReadDevice(const WorkloadRun& run) {
  SLIP_ASSIGN_OR_RETURN(
      const ResultRow row,
      MeasureDevice({.directory = run.directory,
                     .file_bytes = run.Scaled(kKeyCount) * kDeviceBytesPerKey,
                     .depth = run.disk_depth,
                     .seconds = run.scale * kDeviceSeconds < 1
                                    ? 1
                                    : static_cast<int>(run.scale * kDeviceSeconds)}));
  return std::vector<ResultRow>{row};
}

// Fails unless the gets of `part` were answered by the device, each with a page at least.
absl::Status CheckDiskWasRead(const TimedPart& part, uint64_t bytes_before) {
  const uint64_t bytes = FiguresOfThisProcess().device_read_bytes - bytes_before;
  // The last frames may still be in memory.
  if (bytes >= part.operation_count * kPageBytes / 100 * 95) return absl::OkStatus();
  return absl::InternalError(
      absl::StrCat(part.operation_count, " gets read only ", bytes, " bytes from the device"));
}

absl::StatusOr<std::vector<ResultRow>> GetFromDisk(const WorkloadRun& run, bool is_cold) {
  if (run.engine == kDevice) return ReadDevice(run);
  const size_t key_count = run.Scaled(kKeyCount);
  const DataSet data(DataSet::Kind::kIncompressible, kValueBytes);
  SLIP_ASSIGN_OR_RETURN(
      const std::unique_ptr<EngineUnderTest> engine,
      OpenEngine(run.engine,
                 {.directory = run.directory,
                  .key_count = key_count,
                  .value_bytes = kValueBytes,
                  .memory_limit_bytes = is_cold ? key_count * kColdMemoryBytesPerKey : 0}));
  if (!engine->figures().reads_are_direct) {
    return absl::UnimplementedError("the directory's file system has no direct I/O");
  }
  SLIP_RETURN_IF_ERROR(Fill(*engine, data, 0, key_count));
  SLIP_RETURN_IF_ERROR(engine->Settle());
  SLIP_RETURN_IF_ERROR(engine->Compact());
  const EngineFigures figures = engine->figures();
  const double keys = static_cast<double>(key_count);
  if (is_cold &&
      static_cast<double>(figures.hot_key_count.value_or(key_count)) > keys * kHotShareMax) {
    return absl::UnimplementedError("its keys did not all become cold");
  }
  TimedPart part;
  const uint64_t bytes_before = FiguresOfThisProcess().device_read_bytes;
  const auto make_operation = [key_count, &data](size_t thread_index) {
    return UniformGets(thread_index, key_count, data);
  };
  SLIP_RETURN_IF_ERROR(
      RunThreads(*engine, run.disk_depth, run.Scaled(kDiskGetCount), make_operation, part));
  SLIP_RETURN_IF_ERROR(CheckDiskWasRead(part, bytes_before));
  ResultRow row = RowOf(part, run.directory);
  if (figures.index_bytes.has_value()) {
    row.bytes_per_key = static_cast<double>(*figures.index_bytes) / keys;
  }
  SLIP_RETURN_IF_ERROR(engine->Close());
  return std::vector<ResultRow>{row};
}

}  // namespace

void AddGetWorkloads(std::vector<Workload>& workloads) {
  workloads.push_back(
      {.name = "get_cached", .engines = {kSlipstream, kLevelDb, kLmdb, kTkrzw}, .run = GetCached});
  for (const bool is_cold : {false, true}) {
    workloads.push_back(
        {.name = is_cold ? "get_disk_cold" : "get_disk_hot",
         .engines = {kSlipstream, kDevice},
         .run = [is_cold](const WorkloadRun& run) { return GetFromDisk(run, is_cold); }});
  }
}

}  // namespace slipstream::bench
