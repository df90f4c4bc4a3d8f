// The device without an engine: what fio reads from it.
#ifndef SLIPSTREAM_TESTS_BENCH_ENGINE_DEVICE_H_
#define SLIPSTREAM_TESTS_BENCH_ENGINE_DEVICE_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "tests/bench/result_row.h"

namespace slipstream::bench {

struct DeviceOptions {
  std::string directory;    // Where the file to be read is made.
  uint64_t file_bytes = 0;  // At least as much as the engine under comparison has on disk.
  size_t depth = 1;         // Reads under way at a time.
  int seconds = 5;
};

// Random reads of 4 KiB with O_DIRECT from a file that was written, not only allocated. Runs fio
// and waits for it. UNAVAILABLE if fio is not installed or fails.
absl::StatusOr<ResultRow> MeasureDevice(const DeviceOptions& options);

// Takes the rate and the latencies out of what fio prints as JSON. INVALID_ARGUMENT if they are not
// there.
absl::StatusOr<ResultRow> ResultRowFromFio(absl::string_view output);

}  // namespace slipstream::bench

#endif  // SLIPSTREAM_TESTS_BENCH_ENGINE_DEVICE_H_
