#include "base/crc32c.h"

#include <algorithm>
#include <cstddef>
#include <limits>

#include "isa-l/crc.h"

namespace slipstream::base {

uint32_t Crc32c(absl::string_view bytes) { return ExtendCrc32c(0, bytes); }

uint32_t ExtendCrc32c(uint32_t crc, absl::string_view bytes) {
  // ISA-L leaves the inversion before and after to its caller, takes an int for the length, and
  // takes a pointer to non-const bytes that it does not write.
  uint32_t state = ~crc;
  while (!bytes.empty()) {
    const size_t count =
        std::min<size_t>(bytes.size(), static_cast<size_t>(std::numeric_limits<int>::max()));
    state = crc32_iscsi(reinterpret_cast<unsigned char*>(const_cast<char*>(bytes.data())),
                        static_cast<int>(count), state);
    bytes.remove_prefix(count);
  }
  return ~state;
}

}  // namespace slipstream::base
