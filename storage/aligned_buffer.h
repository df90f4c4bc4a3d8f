// AlignedBuffer: bytes whose address and length are multiples of a page, as direct I/O wants them.
#ifndef SLIPSTREAM_STORAGE_ALIGNED_BUFFER_H_
#define SLIPSTREAM_STORAGE_ALIGNED_BUFFER_H_

#include <cstddef>
#include <memory>

#include "absl/strings/string_view.h"

namespace slipstream::storage {

// Owns `capacity()` bytes, their content undefined. Large ones come from the system directly and go
// back to it at once, so that none of them is left free among what malloc keeps. Thread-compatible.
class AlignedBuffer {
 public:
  // `capacity` is a multiple of kPageBytes, not 0.
  explicit AlignedBuffer(size_t capacity);

  char* data() { return data_.get(); }
  const char* data() const { return data_.get(); }
  size_t capacity() const { return data_.get_deleter().capacity; }
  absl::string_view view() const { return {data(), capacity()}; }

 private:
  struct Free {
    void operator()(char* data) const;

    size_t capacity = 0;
  };

  std::unique_ptr<char, Free> data_;
};

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_ALIGNED_BUFFER_H_
