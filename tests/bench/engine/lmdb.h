// LMDB 0.9: a copy-on-write B+ tree in a memory map.
#ifndef SLIPSTREAM_TESTS_BENCH_ENGINE_LMDB_H_
#define SLIPSTREAM_TESTS_BENCH_ENGINE_LMDB_H_

#include <memory>

#include "absl/status/statusor.h"
#include "tests/bench/engine/engine_under_test.h"

namespace slipstream::bench {

absl::StatusOr<std::unique_ptr<EngineUnderTest>> OpenLmdb(const EngineOptions& options);

}  // namespace slipstream::bench

#endif  // SLIPSTREAM_TESTS_BENCH_ENGINE_LMDB_H_
