// CRC32C (Castagnoli, RFC 3720 appendix B.4), the checksum of all our files. ISA-L computes it.
#ifndef SLIPSTREAM_BASE_CRC32C_H_
#define SLIPSTREAM_BASE_CRC32C_H_

#include <cstdint>

#include "absl/strings/string_view.h"

namespace slipstream::base {

// Returns the CRC32C of `bytes`. Thread-safe.
uint32_t Crc32c(absl::string_view bytes);

// Returns the CRC32C of A followed by `bytes`, given `crc`, the CRC32C of A. Thread-safe.
uint32_t ExtendCrc32c(uint32_t crc, absl::string_view bytes);

}  // namespace slipstream::base

#endif  // SLIPSTREAM_BASE_CRC32C_H_
