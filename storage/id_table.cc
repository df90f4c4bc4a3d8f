#include "storage/id_table.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "base/check.h"
#include "base/coding.h"

namespace slipstream::storage {
namespace {

// One bucket is split per insertion while there are more items than this per bucket: fewer, and the
// buckets' own cost grows; more, and an insertion moves more bytes.
constexpr uint64_t kItemsPerBucketTarget = 24;
// The directory of buckets grows by this part of itself, so that little of it is spare.
constexpr size_t kDirectoryGrowthDivisor = 8;
// Steps from the guessed place of an item: far more than it takes, were it not for ids made on
// purpose.
constexpr int kGuessStepsMax = 12;
// Bits of a key_id that can choose a bucket.
constexpr int kLevelMax = 48;

// Returns what malloc takes for `bytes`: 8 more, in steps of 16, at least 32 (glibc).
uint64_t AllocatedBytes(size_t bytes) {
  return bytes == 0 ? 0 : std::max<uint64_t>(32, (bytes + 8 + 15) / 16 * 16);
}

const uint8_t* SuffixOf(const base::KeyId& key_id) { return key_id.bytes.data() + 1; }

// Returns the 64 bits of `key_id` after its shard byte, the first of them lowest.
uint64_t ReversedBits(const void* suffix) {
  return __builtin_bitreverse64(base::LoadBig64(suffix));
}

// Returns the low `count` bits of `bits` in reverse order.
size_t ReverseLow(uint64_t bits, int count) {
  return count == 0 ? 0 : __builtin_bitreverse64(bits) >> (64 - count);
}

// Returns the first `count` bits of `key_id` after its shard byte as a number, 0 <= count < 64.
uint64_t LeadingBits(const base::KeyId& key_id, int count) {
  return count == 0 ? 0 : base::LoadBig64(SuffixOf(key_id)) >> (64 - count);
}

// Compares two suffixes; the first 8 bytes nearly always tell.
bool SuffixBefore(const void* a, const void* b) {
  const uint64_t a_head = base::LoadBig64(a);
  const uint64_t b_head = base::LoadBig64(b);
  if (a_head != b_head) return a_head < b_head;
  return std::memcmp(a, b, kIdSuffixBytes) < 0;
}

}  // namespace

IdTable::IdTable(size_t item_bytes) : item_bytes_(item_bytes), buckets_(1) {
  SLIP_CHECK(item_bytes >= kIdSuffixBytes);
}

IdTable::~IdTable() { Clear(); }

void IdTable::Clear() {
  for (Bucket& bucket : buckets_) std::free(bucket.items);
  buckets_ = std::vector<Bucket>(1);
  level_ = 0;
  split_ = 0;
  item_count_ = 0;
  array_bytes_ = 0;
}

size_t IdTable::BucketIndex(const base::KeyId& key_id) const {
  const uint64_t bits = ReversedBits(SuffixOf(key_id));
  const size_t index = bits & ((size_t{1} << level_) - 1);
  return index < split_ ? bits & ((size_t{2} << level_) - 1) : index;
}

// Returns the index of the first item of `bucket` that is not before `key_id`.
size_t IdTable::LowerBound(const Bucket& bucket, const base::KeyId& key_id) const {
  const char* const suffix = reinterpret_cast<const char*>(SuffixOf(key_id));
  // key_ids are spread evenly, so the bits after those that all items share say where to look: one
  // or two cache lines of the array instead of the five of a binary search.
  const uint64_t fraction = (base::LoadBig64(suffix) << level_) >> 32;
  size_t guess = std::min(bucket.count, static_cast<size_t>(fraction * bucket.count >> 32));
  for (int step = 0; step < kGuessStepsMax; ++step) {
    if (guess > 0 && !SuffixBefore(ItemAt(bucket, guess - 1), suffix)) {
      --guess;
    } else if (guess < bucket.count && SuffixBefore(ItemAt(bucket, guess), suffix)) {
      ++guess;
    } else {
      return guess;
    }
  }
  return BinarySearch(bucket, suffix);
}

size_t IdTable::BinarySearch(const Bucket& bucket, const char* suffix) const {
  size_t first = 0;
  size_t count = bucket.count;
  while (count > 0) {
    const size_t half = count / 2;
    if (SuffixBefore(ItemAt(bucket, first + half), suffix)) {
      first += half + 1;
      count -= half + 1;
    } else {
      count = half;
    }
  }
  return first;
}

bool IdTable::HoldsAt(const Bucket& bucket, size_t index, const base::KeyId& key_id) const {
  return index < bucket.count &&
         std::memcmp(bucket.items + index * item_bytes_, SuffixOf(key_id), kIdSuffixBytes) == 0;
}

const char* IdTable::Find(const base::KeyId& key_id) const {
  const Bucket& bucket = buckets_[BucketIndex(key_id)];
  const size_t index = LowerBound(bucket, key_id);
  return HoldsAt(bucket, index, key_id) ? bucket.items + index * item_bytes_ : nullptr;
}

char* IdTable::Find(const base::KeyId& key_id) {
  return const_cast<char*>(static_cast<const IdTable*>(this)->Find(key_id));
}

// Gives `bucket` room for `count` items; those at and after it are lost.
void IdTable::Resize(Bucket& bucket, size_t count) {
  array_bytes_ += AllocatedBytes(count * item_bytes_) - AllocatedBytes(bucket.count * item_bytes_);
  bucket.count = count;
  if (count == 0) {
    std::free(bucket.items);
    bucket.items = nullptr;
    return;
  }
  bucket.items = static_cast<char*>(std::realloc(bucket.items, count * item_bytes_));
  SLIP_CHECK(bucket.items != nullptr);
}

char* IdTable::Insert(const base::KeyId& key_id) {
  // First, as it moves items.
  if (item_count_ >= kItemsPerBucketTarget * buckets_.size()) SplitOne();
  Bucket& bucket = buckets_[BucketIndex(key_id)];
  const size_t index = LowerBound(bucket, key_id);
  SLIP_CHECK(!HoldsAt(bucket, index, key_id));
  const size_t after_count = bucket.count - index;
  Resize(bucket, bucket.count + 1);
  char* const item = bucket.items + index * item_bytes_;
  std::memmove(item + item_bytes_, item, after_count * item_bytes_);
  std::memcpy(item, SuffixOf(key_id), kIdSuffixBytes);
  ++item_count_;
  return item;
}

void IdTable::Erase(const base::KeyId& key_id) {
  Bucket& bucket = buckets_[BucketIndex(key_id)];
  const size_t index = LowerBound(bucket, key_id);
  if (!HoldsAt(bucket, index, key_id)) return;
  char* const item = bucket.items + index * item_bytes_;
  std::memmove(item, item + item_bytes_, (bucket.count - index - 1) * item_bytes_);
  Resize(bucket, bucket.count - 1);
  --item_count_;
}

void IdTable::SplitOne() {
  SLIP_CHECK(level_ < kLevelMax);
  if (buckets_.size() == buckets_.capacity()) {
    buckets_.reserve(buckets_.size() + buckets_.size() / kDirectoryGrowthDivisor + 1);
  }
  buckets_.emplace_back();
  Bucket& lower = buckets_[split_];
  Bucket& upper = buckets_.back();
  // Sorted by id, those whose next bit is 1 are the end of the array.
  const uint64_t next_bit = uint64_t{1} << level_;
  size_t lower_count = lower.count;
  while (lower_count > 0 &&
         (ReversedBits(lower.items + (lower_count - 1) * item_bytes_) & next_bit) != 0) {
    --lower_count;
  }
  if (lower_count < lower.count) {
    Resize(upper, lower.count - lower_count);
    std::memcpy(upper.items, lower.items + lower_count * item_bytes_, upper.count * item_bytes_);
    Resize(lower, lower_count);
  }
  if (++split_ == size_t{1} << level_) {
    ++level_;
    split_ = 0;
  }
}

bool IdTable::Visit(const base::KeyRange& range, absl::FunctionRef<bool(const char*)> visit) const {
  const uint64_t last_prefix = LeadingBits(range.last, level_);
  for (uint64_t prefix = LeadingBits(range.first, level_); prefix <= last_prefix; ++prefix) {
    const size_t index = ReverseLow(prefix, level_);
    if (!VisitBucket(buckets_[index], range, visit)) return false;
    // A split bucket kept the ids that go on with a 0; those with a 1 come after them.
    if (index >= split_) continue;
    if (!VisitBucket(buckets_[index + (size_t{1} << level_)], range, visit)) return false;
  }
  return true;
}

bool IdTable::VisitMutable(const base::KeyRange& range, absl::FunctionRef<bool(char*)> visit) {
  return Visit(range, [visit](const char* item) { return visit(const_cast<char*>(item)); });
}

size_t IdTable::Sweep(size_t bucket_count, size_t& hand, absl::FunctionRef<bool(char*)> remove) {
  size_t removed_count = 0;
  for (size_t i = 0; i < std::min(bucket_count, buckets_.size()); ++i) {
    if (hand >= buckets_.size()) hand = 0;
    Bucket& bucket = buckets_[hand++];
    size_t kept_count = 0;
    for (size_t index = 0; index < bucket.count; ++index) {
      char* const item = bucket.items + index * item_bytes_;
      if (remove(item)) continue;
      if (kept_count != index) {
        std::memcpy(bucket.items + kept_count * item_bytes_, item, item_bytes_);
      }
      ++kept_count;
    }
    const size_t bucket_removed_count = bucket.count - kept_count;
    if (bucket_removed_count == 0) continue;
    Resize(bucket, kept_count);
    removed_count += bucket_removed_count;
  }
  item_count_ -= removed_count;
  return removed_count;
}

bool IdTable::VisitBucket(const Bucket& bucket, const base::KeyRange& range,
                          absl::FunctionRef<bool(const char*)> visit) const {
  for (size_t i = LowerBound(bucket, range.first); i < bucket.count; ++i) {
    const char* const item = bucket.items + i * item_bytes_;
    if (SuffixBefore(SuffixOf(range.last), item)) return true;
    if (!visit(item)) return false;
  }
  return true;
}

}  // namespace slipstream::storage
