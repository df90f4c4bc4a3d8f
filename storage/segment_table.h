// SegmentTable: how many bytes of each segment's records are dead.
//
// A record is dead when its key has a newer one, or a copy of it elsewhere, or when it waits for
// the Commit of a streamed transaction. What a segment holds in all is the log's to know. A
// checkpoint is not one moment: it needs the account as of when each shard was collected, so what
// dies of a shard afterwards is noted apart until it ends.
#ifndef SLIPSTREAM_STORAGE_SEGMENT_TABLE_H_
#define SLIPSTREAM_STORAGE_SEGMENT_TABLE_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "storage/ceilings.h"

namespace slipstream::storage {

// Thread-safe; takes no lock but for the first of 8,192 segments, which costs 64 KiB, and for
// collected shards.
class SegmentTable {
 public:
  SegmentTable() = default;
  SegmentTable(const SegmentTable&) = delete;
  SegmentTable& operator=(const SegmentTable&) = delete;

  enum class Shard { kNotCollected, kCollected };

  // Counts `bytes` more of segment `segment_number`, at most kSegmentNumberMax, as dead. `shard`:
  // whether a checkpoint under way has collected the shard of the record that died.
  void AddDead(uint64_t segment_number, uint64_t bytes, Shard shard = Shard::kNotCollected)
      ABSL_LOCKS_EXCLUDED(late_mutex_);

  // Takes back what AddDead was told of `bytes`, maybe in an earlier life whose account is still to
  // be added.
  void Revive(uint64_t segment_number, uint64_t bytes, Shard shard = Shard::kNotCollected)
      ABSL_LOCKS_EXCLUDED(late_mutex_);

  // Returns the dead bytes of a segment; 0 if it was never heard of.
  uint64_t dead(uint64_t segment_number) const;

  // Returns the dead bytes without those of collected shards.
  uint64_t dead_when_collected(uint64_t segment_number) const ABSL_LOCKS_EXCLUDED(late_mutex_);
  // Ends the checkpoint: from here on no shard is collected.
  void EndCollection() ABSL_LOCKS_EXCLUDED(late_mutex_);

  // Sets the dead bytes of a segment that is no more to 0.
  void Forget(uint64_t segment_number) ABSL_LOCKS_EXCLUDED(late_mutex_);
  // Forgets all segments. Not beside other calls.
  void Clear() ABSL_LOCKS_EXCLUDED(grow_mutex_, late_mutex_);

 private:
  static constexpr size_t kChunkNumbers = 8192;
  static constexpr size_t kChunkCount = (kSegmentNumberMax + 1) / kChunkNumbers;
  static_assert((kSegmentNumberMax + 1) % kChunkNumbers == 0);
  using Chunk = std::array<std::atomic<uint64_t>, kChunkNumbers>;

  Chunk& ChunkFor(uint64_t segment_number) ABSL_LOCKS_EXCLUDED(grow_mutex_);

  absl::Mutex grow_mutex_;
  std::array<std::unique_ptr<Chunk>, kChunkCount> owned_ ABSL_GUARDED_BY(grow_mutex_);
  std::array<std::atomic<Chunk*>, kChunkCount> chunks_ = {};
  // Of collected shards, by segment; modulo 2^64, as more may have been revived than died. A lock,
  // and taken only while a checkpoint is under way.
  mutable absl::Mutex late_mutex_;
  std::map<uint64_t, uint64_t> late_bytes_ ABSL_GUARDED_BY(late_mutex_);
};

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_SEGMENT_TABLE_H_
