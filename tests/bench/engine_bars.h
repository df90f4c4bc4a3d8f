// What engine_compare's rows are held against.
#ifndef SLIPSTREAM_TESTS_BENCH_ENGINE_BARS_H_
#define SLIPSTREAM_TESTS_BENCH_ENGINE_BARS_H_

#include <vector>

#include "tests/bench/bars.h"
#include "tests/bench/workload/workload.h"

namespace slipstream::bench {

std::vector<Bar> EngineBars(const WorkloadRun& run);

}  // namespace slipstream::bench

#endif  // SLIPSTREAM_TESTS_BENCH_ENGINE_BARS_H_
