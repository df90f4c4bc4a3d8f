// Workload: something that engines do for the clock. Each (workload, engine) pair runs in a process
// of its own, so that its memory is its own.
#ifndef SLIPSTREAM_TESTS_BENCH_WORKLOAD_WORKLOAD_H_
#define SLIPSTREAM_TESTS_BENCH_WORKLOAD_WORKLOAD_H_

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/bench/result_row.h"

namespace slipstream::bench {

// What one run is given.
struct WorkloadRun {
  std::string engine;
  std::string directory;  // Of this run's pair, through all its processes. On a real disk.
  double scale = 1;
  size_t thread_count = 2;
  size_t disk_depth = 32;  // Reads under way where the disk is what is measured.

  // `full_count` times the scale, at least enough for every thread to have something to do.
  size_t Scaled(size_t full_count) const;
};

struct Workload {
  std::string name;
  std::vector<std::string> engines;
  // Runs in the process whose memory is measured. Several rows if they are to be compared. Their
  // names need not be filled in, but for a second workload's. UNIMPLEMENTED if the engine cannot.
  std::function<absl::StatusOr<std::vector<ResultRow>>(const WorkloadRun&)> run;

  // Makes, in an earlier process, what `run` opens; may be empty. Calls `ready` when it is there.
  // If `is_killed`, the process gets SIGKILL some time after that, and `prepare` keeps writing;
  // else it closes the store before it calls.
  std::function<absl::Status(const WorkloadRun&, const std::function<void()>& ready)> prepare;
  bool is_killed = false;
};

// All of them, in the order of the table in docs/benchmarks.md.
std::vector<Workload> AllWorkloads();

// Key and value bytes that overwrite_3 leaves live.
double OverwrittenLiveBytes(const WorkloadRun& run);

// One function for each file.
void AddLoadWorkloads(std::vector<Workload>& workloads);
void AddGetWorkloads(std::vector<Workload>& workloads);
void AddYcsbWorkloads(std::vector<Workload>& workloads);
void AddSyncWorkloads(std::vector<Workload>& workloads);
void AddReopenWorkloads(std::vector<Workload>& workloads);
void AddSpaceWorkloads(std::vector<Workload>& workloads);

}  // namespace slipstream::bench

#endif  // SLIPSTREAM_TESTS_BENCH_WORKLOAD_WORKLOAD_H_
