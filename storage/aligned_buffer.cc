#include "storage/aligned_buffer.h"

#include <sys/mman.h>

#include <cstdlib>

#include "base/check.h"
#include "storage/frame.h"

namespace slipstream::storage {
namespace {

// From here on a map of its own costs little beside what the bytes are used for. Buffers for reads
// of a few pages, which come and go with every visit, are less.
constexpr size_t kMappedBytesMin = 128 << 10;

char* AllocatePages(size_t capacity) {
  SLIP_CHECK(capacity != 0);
  SLIP_CHECK(capacity % kPageBytes == 0);
  if (capacity < kMappedBytesMin) {
    void* const data = std::aligned_alloc(kPageBytes, capacity);
    SLIP_CHECK(data != nullptr);
    return static_cast<char*>(data);
  }
  void* const map = ::mmap(nullptr, capacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                           /*fd=*/-1, /*offset=*/0);
  SLIP_CHECK(map != MAP_FAILED);
  return static_cast<char*>(map);
}

}  // namespace

AlignedBuffer::AlignedBuffer(size_t capacity)
    : data_(AllocatePages(capacity), Free{.capacity = capacity}) {}

void AlignedBuffer::Free::operator()(char* data) const {
  if (capacity < kMappedBytesMin) {
    std::free(data);
    return;
  }
  SLIP_CHECK(::munmap(data, capacity) == 0);
}

}  // namespace slipstream::storage
