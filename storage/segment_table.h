// SegmentTable: how many bytes of each segment's records are dead.
//
// A record is dead when its key has a newer one, or a copy of it elsewhere. What a segment holds in
// all is the log's to know.
#ifndef SLIPSTREAM_STORAGE_SEGMENT_TABLE_H_
#define SLIPSTREAM_STORAGE_SEGMENT_TABLE_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "storage/ceilings.h"

namespace slipstream::storage {

// Thread-safe; takes no lock but for the first of 8,192 segments, which costs 64 KiB.
class SegmentTable {
 public:
  SegmentTable() = default;
  SegmentTable(const SegmentTable&) = delete;
  SegmentTable& operator=(const SegmentTable&) = delete;

  // Counts `bytes` more of segment `segment_number`, at most kSegmentNumberMax, as dead.
  void AddDead(uint64_t segment_number, uint64_t bytes);

  // Returns the dead bytes of a segment; 0 if it was never heard of.
  uint64_t dead(uint64_t segment_number) const;

  // Sets the dead bytes of a segment that is no more to 0.
  void Forget(uint64_t segment_number);

 private:
  static constexpr size_t kChunkNumbers = 8192;
  static constexpr size_t kChunkCount = (kSegmentNumberMax + 1) / kChunkNumbers;
  static_assert((kSegmentNumberMax + 1) % kChunkNumbers == 0);
  using Chunk = std::array<std::atomic<uint64_t>, kChunkNumbers>;

  Chunk& ChunkFor(uint64_t segment_number) ABSL_LOCKS_EXCLUDED(grow_mutex_);

  absl::Mutex grow_mutex_;
  std::array<std::unique_ptr<Chunk>, kChunkCount> owned_ ABSL_GUARDED_BY(grow_mutex_);
  std::array<std::atomic<Chunk*>, kChunkCount> chunks_ = {};
};

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_SEGMENT_TABLE_H_
