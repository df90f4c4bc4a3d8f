// Slipstream's engine with its Merkle tree, driven as slipstreamd drives it.
#ifndef SLIPSTREAM_TESTS_BENCH_ENGINE_SLIPSTREAM_H_
#define SLIPSTREAM_TESTS_BENCH_ENGINE_SLIPSTREAM_H_

#include <memory>

#include "absl/status/statusor.h"
#include "tests/bench/engine/engine_under_test.h"

namespace slipstream::bench {

absl::StatusOr<std::unique_ptr<EngineUnderTest>> OpenSlipstream(const EngineOptions& options);

}  // namespace slipstream::bench

#endif  // SLIPSTREAM_TESTS_BENCH_ENGINE_SLIPSTREAM_H_
