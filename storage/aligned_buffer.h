// AlignedBuffer: bytes whose address and length are multiples of a page, as direct I/O wants them.
#ifndef SLIPSTREAM_STORAGE_ALIGNED_BUFFER_H_
#define SLIPSTREAM_STORAGE_ALIGNED_BUFFER_H_

#include <cstddef>
#include <cstdlib>
#include <memory>

#include "absl/strings/string_view.h"
#include "base/check.h"
#include "storage/frame.h"

namespace slipstream::storage {

// Owns `capacity()` bytes, uninitialised. Thread-compatible.
class AlignedBuffer {
 public:
  // `capacity` is a multiple of kPageBytes, not 0.
  explicit AlignedBuffer(size_t capacity)
      : capacity_(capacity), data_(static_cast<char*>(std::aligned_alloc(kPageBytes, capacity))) {
    SLIP_CHECK(capacity != 0);
    SLIP_CHECK(capacity % kPageBytes == 0);
    SLIP_CHECK(data_ != nullptr);
  }

  char* data() { return data_.get(); }
  const char* data() const { return data_.get(); }
  size_t capacity() const { return capacity_; }
  absl::string_view view() const { return {data_.get(), capacity_}; }

 private:
  struct Free {
    void operator()(char* data) const { std::free(data); }
  };

  size_t capacity_;
  std::unique_ptr<char, Free> data_;
};

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_ALIGNED_BUFFER_H_
