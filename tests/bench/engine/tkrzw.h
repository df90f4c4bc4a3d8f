// TKRZW 1.0, HashDBM: a hash table in a memory-mapped file.
#ifndef SLIPSTREAM_TESTS_BENCH_ENGINE_TKRZW_H_
#define SLIPSTREAM_TESTS_BENCH_ENGINE_TKRZW_H_

#include <memory>

#include "absl/status/statusor.h"
#include "tests/bench/engine/engine_under_test.h"

namespace slipstream::bench {

absl::StatusOr<std::unique_ptr<EngineUnderTest>> OpenTkrzw(const EngineOptions& options);

}  // namespace slipstream::bench

#endif  // SLIPSTREAM_TESTS_BENCH_ENGINE_TKRZW_H_
