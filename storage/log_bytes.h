// LogBytes: bytes of the log, in the pages that were read for them.
#ifndef SLIPSTREAM_STORAGE_LOG_BYTES_H_
#define SLIPSTREAM_STORAGE_LOG_BYTES_H_

#include <cstddef>

#include "absl/strings/string_view.h"
#include "storage/aligned_buffer.h"

namespace slipstream::storage {

// Owns the pages.
struct LogBytes {
  AlignedBuffer pages;
  size_t start = 0;
  size_t count = 0;

  absl::string_view view() const { return pages.view().substr(start, count); }
};

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_LOG_BYTES_H_
