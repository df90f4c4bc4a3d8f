// LevelDB 1.23: a log-structured merge tree.
#ifndef SLIPSTREAM_TESTS_BENCH_ENGINE_LEVELDB_H_
#define SLIPSTREAM_TESTS_BENCH_ENGINE_LEVELDB_H_

#include <memory>

#include "absl/status/statusor.h"
#include "tests/bench/engine/engine_under_test.h"

namespace slipstream::bench {

absl::StatusOr<std::unique_ptr<EngineUnderTest>> OpenLevelDb(const EngineOptions& options);

}  // namespace slipstream::bench

#endif  // SLIPSTREAM_TESTS_BENCH_ENGINE_LEVELDB_H_
