#include "storage/segment_table.h"

#include "base/check.h"

namespace slipstream::storage {

void SegmentTable::AddDead(uint64_t segment_number, uint64_t bytes, Shard shard) {
  if (bytes == 0) return;
  std::atomic<uint64_t>& dead = ChunkFor(segment_number)[segment_number % kChunkNumbers];
  if (shard == Shard::kNotCollected) {
    dead.fetch_add(bytes, std::memory_order_relaxed);
    return;
  }
  absl::MutexLock lock(&late_mutex_);
  late_bytes_[segment_number] += bytes;
  dead.fetch_add(bytes, std::memory_order_relaxed);
}

void SegmentTable::Revive(uint64_t segment_number, uint64_t bytes, Shard shard) {
  AddDead(segment_number, 0 - bytes, shard);  // Modulo 2^64.
}

uint64_t SegmentTable::dead_when_collected(uint64_t segment_number) const {
  absl::MutexLock lock(&late_mutex_);
  const auto late = late_bytes_.find(segment_number);
  return dead(segment_number) - (late == late_bytes_.end() ? 0 : late->second);
}

void SegmentTable::EndCollection() {
  absl::MutexLock lock(&late_mutex_);
  late_bytes_.clear();
}

void SegmentTable::Clear() {
  absl::MutexLock grow_lock(&grow_mutex_);
  for (std::unique_ptr<Chunk>& chunk : owned_) {
    if (chunk == nullptr) continue;
    for (std::atomic<uint64_t>& dead : *chunk) dead.store(0, std::memory_order_relaxed);
  }
  absl::MutexLock late_lock(&late_mutex_);
  late_bytes_.clear();
}

uint64_t SegmentTable::dead(uint64_t segment_number) const {
  SLIP_CHECK(segment_number <= kSegmentNumberMax);
  const Chunk* const chunk =
      chunks_[segment_number / kChunkNumbers].load(std::memory_order_acquire);
  if (chunk == nullptr) return 0;
  return (*chunk)[segment_number % kChunkNumbers].load(std::memory_order_relaxed);
}

void SegmentTable::Forget(uint64_t segment_number) {
  if (dead(segment_number) == 0) return;
  absl::MutexLock lock(&late_mutex_);
  late_bytes_.erase(segment_number);
  ChunkFor(segment_number)[segment_number % kChunkNumbers].store(0, std::memory_order_relaxed);
}

SegmentTable::Chunk& SegmentTable::ChunkFor(uint64_t segment_number) {
  SLIP_CHECK(segment_number <= kSegmentNumberMax);
  const size_t index = segment_number / kChunkNumbers;
  if (Chunk* const chunk = chunks_[index].load(std::memory_order_acquire); chunk != nullptr) {
    return *chunk;
  }
  absl::MutexLock lock(&grow_mutex_);
  if (owned_[index] == nullptr) {
    owned_[index] = std::make_unique<Chunk>();
    chunks_[index].store(owned_[index].get(), std::memory_order_release);
  }
  return *owned_[index];
}

}  // namespace slipstream::storage
