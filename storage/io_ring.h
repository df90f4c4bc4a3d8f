// IoRing: many reads of files with one system call, by Linux's io_uring (see io_uring(7)).
#ifndef SLIPSTREAM_STORAGE_IO_RING_H_
#define SLIPSTREAM_STORAGE_IO_RING_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

struct io_uring;

namespace slipstream::storage {

// Not thread-safe: of one thread at a time.
class IoRing {
 public:
  // What is under way at once; more reads go in parts.
  static constexpr unsigned kDepth = 64;

  struct Read {
    int descriptor = -1;
    uint64_t offset = 0;
    size_t count = 0;
    char* destination = nullptr;
    int result = 0;  // Bytes read, as by pread(2), or minus an error number.
  };

  // UNAVAILABLE, with the reason, where the kernel or a sandbox forbids it.
  static absl::StatusOr<std::unique_ptr<IoRing>> Create();
  ~IoRing();
  IoRing(const IoRing&) = delete;
  IoRing& operator=(const IoRing&) = delete;

  // Makes all `reads` and sets their results. Returns when none is under way any more. Not OK if
  // the ring itself has failed: then the results say nothing, and it must not be used again.
  absl::Status Run(absl::Span<Read> reads);

 private:
  explicit IoRing(std::unique_ptr<io_uring> ring);

  absl::Status RunPart(absl::Span<Read> reads);
  // Takes up what has ended; returns how many.
  size_t Reap(absl::Span<Read> reads);

  const std::unique_ptr<io_uring> ring_;
};

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_IO_RING_H_
