// OpenEngine: an engine by the name that it has in the results.
#ifndef SLIPSTREAM_TESTS_BENCH_ENGINE_OPEN_ENGINE_H_
#define SLIPSTREAM_TESTS_BENCH_ENGINE_OPEN_ENGINE_H_

#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "tests/bench/engine/engine_under_test.h"

namespace slipstream::bench {

inline constexpr char kSlipstream[] = "slipstream";
inline constexpr char kLevelDb[] = "leveldb";
inline constexpr char kLmdb[] = "lmdb";
inline constexpr char kTkrzw[] = "tkrzw";
inline constexpr char kDevice[] = "device";  // Not an engine: device.h.

// INVALID_ARGUMENT for another name; UNIMPLEMENTED if the engine cannot do what `options` ask.
absl::StatusOr<std::unique_ptr<EngineUnderTest>> OpenEngine(absl::string_view name,
                                                            const EngineOptions& options);

}  // namespace slipstream::bench

#endif  // SLIPSTREAM_TESTS_BENCH_ENGINE_OPEN_ENGINE_H_
