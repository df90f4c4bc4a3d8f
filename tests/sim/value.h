// Values that describe themselves: whoever reads one can tell which operation wrote it to which
// key, and that not a bit of it has changed.
//
//   operation id (8) | first 8 bytes of the key_id | noise seeded by the operation id | CRC32C (4)
#ifndef SLIPSTREAM_TESTS_SIM_VALUE_H_
#define SLIPSTREAM_TESTS_SIM_VALUE_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace slipstream::sim {

// Returns the value that operation `operation_id` writes to `key`, with `noise_bytes` of noise.
std::string MakeValue(uint64_t operation_id, absl::string_view key, size_t noise_bytes);

// Returns the id of the operation that wrote `value` to `key`. DATA_LOSS, saying what is wrong, if
// none did.
absl::StatusOr<uint64_t> OperationOf(absl::string_view key, absl::string_view value);

}  // namespace slipstream::sim

#endif  // SLIPSTREAM_TESTS_SIM_VALUE_H_
