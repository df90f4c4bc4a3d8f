// What the allocator takes for a piece of memory.
#ifndef SLIPSTREAM_STORAGE_HEAP_BYTES_H_
#define SLIPSTREAM_STORAGE_HEAP_BYTES_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace slipstream::storage {

// Returns what malloc takes for `bytes` (glibc), 0 for none: 8 more, in steps of 16, at least 32;
// large ones in pages. (Where node::HeapTrimmer raises the bound for those, up to a page too many.)
inline uint64_t HeapBytes(size_t bytes) {
  constexpr size_t kPageBytes = 4096;
  constexpr size_t kMappedBytesMin = 128 << 10;
  if (bytes == 0) return 0;
  const size_t step = bytes >= kMappedBytesMin ? kPageBytes : 16;
  return std::max<uint64_t>(32, (bytes + 8 + step - 1) / step * step);
}

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_HEAP_BYTES_H_
