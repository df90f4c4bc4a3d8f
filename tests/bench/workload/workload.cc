#include "tests/bench/workload/workload.h"

#include <algorithm>

namespace slipstream::bench {
namespace {

constexpr double kCountMin = 128;

}  // namespace

size_t WorkloadRun::Scaled(size_t full_count) const {
  return static_cast<size_t>(std::max(kCountMin, static_cast<double>(full_count) * scale));
}

std::vector<Workload> AllWorkloads() {
  std::vector<Workload> workloads;
  AddLoadWorkloads(workloads);
  AddGetWorkloads(workloads);
  AddYcsbWorkloads(workloads);
  AddSyncWorkloads(workloads);
  AddReopenWorkloads(workloads);
  AddSpaceWorkloads(workloads);
  return workloads;
}

}  // namespace slipstream::bench
