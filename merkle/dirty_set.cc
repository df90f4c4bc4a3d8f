#include "merkle/dirty_set.h"

#include <algorithm>
#include <bit>

#include "base/check.h"

namespace slipstream::merkle {

uint32_t BucketOf(const base::KeyId& key_id, int depth) {
  const uint32_t bits =
      uint32_t{key_id.bytes[1]} << 16 | uint32_t{key_id.bytes[2]} << 8 | uint32_t{key_id.bytes[3]};
  static_assert(DirtySet::kDepthMax == 24, "a bucket number is made of three bytes");
  return bits >> (DirtySet::kDepthMax - depth);
}

void DirtySet::Mark(const base::KeyId& key_id) {
  absl::MutexLock lock(&mutex_);
  const uint32_t bucket = BucketOf(key_id, depth_);
  uint64_t& word = words_[bucket / 64];
  const uint64_t bit = uint64_t{1} << (bucket % 64);
  if ((word & bit) == 0) ++dirty_count_;
  word |= bit;
  mark_count_.fetch_add(1, std::memory_order_acq_rel);
}

void DirtySet::Take(uint32_t first, uint32_t last, size_t count_max,
                    std::vector<uint32_t>& buckets) {
  absl::MutexLock lock(&mutex_);
  if (dirty_count_ == 0) return;
  size_t count = 0;
  for (uint32_t index = first / 64; index <= last / 64; ++index) {
    uint64_t candidates = words_[index];
    if (index == first / 64) candidates &= ~uint64_t{0} << (first % 64);
    if (index == last / 64) candidates &= ~uint64_t{0} >> (63 - last % 64);
    for (; candidates != 0; candidates &= candidates - 1) {
      if (count == count_max) return;
      const uint64_t bit = candidates & -candidates;
      words_[index] &= ~bit;
      --dirty_count_;
      ++count;
      buckets.push_back(index * 64 + static_cast<uint32_t>(std::countr_zero(bit)));
    }
  }
}

void DirtySet::Reset(int depth) {
  SLIP_CHECK(depth >= 0);
  SLIP_CHECK(depth <= kDepthMax);
  const size_t bucket_count = size_t{1} << depth;
  const uint64_t all = bucket_count < 64 ? (uint64_t{1} << bucket_count) - 1 : ~uint64_t{0};
  // Allocated before the mutex is taken: writers wait for a swap, not for an allocation.
  std::vector<uint64_t> words(std::max<size_t>(1, bucket_count / 64), all);
  absl::MutexLock lock(&mutex_);
  depth_ = depth;
  words_.swap(words);
  dirty_count_ = bucket_count;
}

void DirtySet::Restore(int depth, const std::vector<uint32_t>& buckets) {
  Reset(depth);
  absl::MutexLock lock(&mutex_);
  std::fill(words_.begin(), words_.end(), 0);
  for (const uint32_t bucket : buckets) words_[bucket / 64] |= uint64_t{1} << (bucket % 64);
  dirty_count_ = buckets.size();
}

bool DirtySet::Contains(uint32_t bucket) const {
  absl::MutexLock lock(&mutex_);
  return (words_[bucket / 64] >> (bucket % 64) & 1) != 0;
}

std::vector<bool> DirtySet::Dirty() const {
  absl::MutexLock lock(&mutex_);
  std::vector<bool> dirty(size_t{1} << depth_);
  for (size_t bucket = 0; bucket < dirty.size(); ++bucket) {
    dirty[bucket] = (words_[bucket / 64] >> (bucket % 64) & 1) != 0;
  }
  return dirty;
}

bool DirtySet::any() const {
  absl::MutexLock lock(&mutex_);
  return dirty_count_ != 0;
}

uint64_t DirtySet::memory_bytes() const {
  absl::MutexLock lock(&mutex_);
  return words_.capacity() * sizeof(uint64_t);
}

}  // namespace slipstream::merkle
