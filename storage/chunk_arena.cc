#include "storage/chunk_arena.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

#include "base/check.h"

namespace slipstream::storage {
namespace {

// What is asked of the system at once: address space only, until a chunk is used.
constexpr size_t kRegionBytes = 2 << 20;
constexpr size_t kChunksPerRegion = kRegionBytes / kChunkBytes;
// Free chunks that keep their pages, as the next to grow needs one soon: at most 1 MiB, less where
// there is little in all.
constexpr size_t kWarmMax = 128;
constexpr size_t kWarmMaxPerRegion = kChunksPerRegion / 64;

}  // namespace

ChunkArena::ChunkArena()
    : gives_back_(kChunkBytes % static_cast<size_t>(::sysconf(_SC_PAGESIZE)) == 0) {}

ChunkArena::~ChunkArena() {
  SLIP_CHECK(warm_.size() + cold_.size() == regions_.size() * kChunksPerRegion);
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
  {
    absl::MutexLock lock(&mutex_);
    if (!gives_back_ || warm_.size() < WarmMax()) {
      warm_.push_back(chunk);
      return;
    }
  }
  // Nobody else has it yet, so that nobody waits for the system. Locked memory (mlockall) cannot go
  // back, and is used again all the same.
  (void)::madvise(chunk, kChunkBytes, MADV_DONTNEED);
  absl::MutexLock lock(&mutex_);
  cold_.push_back(chunk);
}

size_t ChunkArena::WarmMax() const {
  return std::min(kWarmMax, kWarmMaxPerRegion * regions_.size());
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
