// ChunkArena: memory in chunks of one size, straight from the system, for what takes most of a
// node's memory.
//
// A chunk is whole pages, so one that is free can go back to the system at once, wherever it lies
// (unless the system's pages are larger than it: then all that is free is kept).
// Among malloc's pieces of many sizes it could not: what is free there between others stays with
// the process.
#ifndef SLIPSTREAM_STORAGE_CHUNK_ARENA_H_
#define SLIPSTREAM_STORAGE_CHUNK_ARENA_H_

#include <cstddef>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace slipstream::storage {

inline constexpr size_t kChunkBytes = 8192;

// Thread-safe. Out of memory is the end of the process, as elsewhere.
class ChunkArena {
 public:
  ChunkArena();
  ~ChunkArena();
  ChunkArena(const ChunkArena&) = delete;
  ChunkArena& operator=(const ChunkArena&) = delete;

  // Returns kChunkBytes bytes, aligned to a page, their content undefined. They are the caller's
  // until Free, which must come before the arena's end.
  char* Allocate();
  // Takes back what Allocate returned. What is free takes no memory, but for 1 MiB or the 64th part
  // of the most that ever was in use, if that is less.
  void Free(char* chunk);

 private:
  size_t WarmMax() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void MapRegion() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const bool gives_back_;
  absl::Mutex mutex_;
  std::vector<char*> regions_ ABSL_GUARDED_BY(mutex_);
  // Free chunks: those whose pages are there, and those whose pages went back.
  std::vector<char*> warm_ ABSL_GUARDED_BY(mutex_);
  std::vector<char*> cold_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_CHUNK_ARENA_H_
