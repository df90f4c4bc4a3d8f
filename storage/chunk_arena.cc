#include "storage/chunk_arena.h"

#include <sys/mman.h>

#include "base/check.h"

namespace slipstream::storage {
namespace {

// What is asked of the system at once: address space only, until a chunk is used.
constexpr size_t kRegionBytes = 2 << 20;
// Free chunks that keep their pages, as the next to grow needs one soon: 1 MiB.
constexpr size_t kWarmMax = 128;

}  // namespace

ChunkArena::~ChunkArena() {
  for (char* const region : regions_) SLIP_CHECK(::munmap(region, kRegionBytes) == 0);
}

char* ChunkArena::Allocate() {
  absl::MutexLock lock(&mutex_);
  if (warm_.empty() && cold_.empty()) MapRegion();
  std::vector<char*>& from = warm_.empty() ? cold_ : warm_;
  char* const chunk = from.back();
  from.pop_back();
  return chunk;
}

void ChunkArena::Free(char* chunk) {
  absl::MutexLock lock(&mutex_);
  if (warm_.size() < kWarmMax) {
    warm_.push_back(chunk);
    return;
  }
  // Locked memory (mlockall) cannot go back, and is used again all the same.
  (void)::madvise(chunk, kChunkBytes, MADV_DONTNEED);
  cold_.push_back(chunk);
}

void ChunkArena::MapRegion() {
  void* const map = ::mmap(nullptr, kRegionBytes, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  SLIP_CHECK(map != MAP_FAILED);
  // Huge pages would bring back what was given back. A kernel without them refuses; fine.
  (void)::madvise(map, kRegionBytes, MADV_NOHUGEPAGE);
  char* const region = static_cast<char*>(map);
  regions_.push_back(region);
  for (size_t end = kRegionBytes; end > 0; end -= kChunkBytes) {
    cold_.push_back(region + end - kChunkBytes);
  }
}

}  // namespace slipstream::storage
