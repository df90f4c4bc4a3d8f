// What a read of the log is made of: see Log::Read.
#ifndef SLIPSTREAM_STORAGE_LOG_READ_H_
#define SLIPSTREAM_STORAGE_LOG_READ_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/strings/string_view.h"
#include "storage/aligned_buffer.h"
#include "storage/file_system.h"

namespace slipstream::storage {

// Bytes of the log, in the pages that were read for them.
struct LogBytes {
  AlignedBuffer pages;
  size_t start = 0;
  size_t count = 0;

  absl::string_view view() const { return pages.view().substr(start, count); }
};

// A read but for the reading of the file, if it takes that.
struct StartedLogRead {
  LogBytes bytes;                    // Complete if `file` is null.
  std::shared_ptr<const File> file;  // To be read into bytes.pages, all of them, at:
  uint64_t offset = 0;
};

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_LOG_READ_H_
