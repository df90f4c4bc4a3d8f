// A read of the log that has begun: see Log::StartRead.
#ifndef SLIPSTREAM_STORAGE_LOG_READ_H_
#define SLIPSTREAM_STORAGE_LOG_READ_H_

#include <cstdint>
#include <memory>

#include "storage/file_system.h"
#include "storage/log_bytes.h"

namespace slipstream::storage {

// A read but for the reading of the file, if it takes that.
struct StartedLogRead {
  LogBytes bytes;                    // Complete if `file` is null.
  std::shared_ptr<const File> file;  // To be read into bytes.pages, all of them, at:
  uint64_t offset = 0;
};

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_LOG_READ_H_
