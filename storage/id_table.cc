#include "storage/id_table.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/coding.h"
#include "storage/heap_bytes.h"

namespace slipstream::storage {
namespace {

// One bucket is split per insertion while there are more items than this per bucket: fewer, and the
// buckets' own cost and the free places in their last blocks grow; more, and a look-up reads a
// longer list.
constexpr uint64_t kItemsPerBucketTarget = 128;
// The directory of buckets grows by this part of itself, so that little of it is spare.
constexpr size_t kDirectoryGrowthDivisor = 8;
// Bits of a key_id that can choose a bucket, so that the 64 bits after the shard byte have a mark
// beyond them.
constexpr int kLevelMax = 48;
constexpr int kMarkBits = 8;

// Returns the 64 bits after the shard byte of the id that `suffix` belongs to.
uint64_t HeadOf(const void* suffix) { return base::LoadBig64(suffix); }

const uint8_t* SuffixOf(const base::KeyId& key_id) { return key_id.bytes.data() + 1; }

// Returns the low `count` bits of `bits` in reverse order.
size_t ReverseLow(uint64_t bits, int count) {
  return count == 0 ? 0 : __builtin_bitreverse64(bits) >> (64 - count);
}

// Returns the first `count` bits of `head` as a number, 0 <= count < 64.
uint64_t LeadingBits(uint64_t head, int count) { return count == 0 ? 0 : head >> (64 - count); }

// Returns the mark of an id in a bucket whose prefix has `prefix_bits` bits.
uint8_t MarkOf(uint64_t head, int prefix_bits) {
  return static_cast<uint8_t>(head << prefix_bits >> (64 - kMarkBits));
}

// Returns a number whose byte i is not 0 if byte i of `marks` is `mark`, or, rarely, close to it
// and behind one that is.
uint32_t MatchMarks(uint32_t marks, uint8_t mark) {
  const uint32_t difference = marks ^ mark * 0x01010101u;
  return (difference - 0x01010101u) & ~difference & 0x80808080u;
}

}  // namespace

IdTable::IdTable(ChunkArena* arena, size_t item_bytes)
    : item_bytes_(item_bytes), buckets_(1), pool_(arena, kItemsPerBlock * item_bytes) {
  SLIP_CHECK(item_bytes >= kIdSuffixBytes);
}

IdTable::~IdTable() { Clear(); }

void IdTable::Clear() {
  for (Bucket& bucket : buckets_) std::free(bucket.blocks);
  buckets_ = std::vector<Bucket>(1);
  level_ = 0;
  split_ = 0;
  item_count_ = 0;
  pool_.Clear();
  block_list_bytes_ = 0;
}

uint64_t IdTable::bytes() const {
  return pool_.bytes() + block_list_bytes_ + HeapBytes(buckets_.capacity() * sizeof(Bucket));
}

size_t IdTable::BlockCountOf(size_t item_count) {
  return (item_count + kItemsPerBlock - 1) / kItemsPerBlock;
}

size_t IdTable::BucketIndex(const void* suffix) const {
  const uint64_t bits = __builtin_bitreverse64(HeadOf(suffix));
  const size_t index = bits & ((size_t{1} << level_) - 1);
  return index < split_ ? bits & ((size_t{2} << level_) - 1) : index;
}

// Returns how many leading bits of their suffixes the ids of `bucket` have in common.
int IdTable::PrefixBits(const Bucket& bucket) const {
  const size_t index = static_cast<size_t>(&bucket - buckets_.data());
  return index < split_ || index >= size_t{1} << level_ ? level_ + 1 : level_;
}

char* IdTable::ItemAt(const Bucket& bucket, size_t index) const {
  return pool_.block(bucket.blocks[index / kItemsPerBlock].number) +
         index % kItemsPerBlock * item_bytes_;
}

// Returns the index of the item in `bucket` whose id has `suffix`, the item count if it has none.
size_t IdTable::IndexOf(const Bucket& bucket, const void* suffix) const {
  const uint8_t mark = MarkOf(HeadOf(suffix), PrefixBits(bucket));
  const size_t block_count = BlockCountOf(bucket.item_count);
  for (size_t i = 0; i < block_count; ++i) {
    uint32_t marks = 0;
    std::memcpy(&marks, bucket.blocks[i].marks, sizeof(marks));
    for (uint32_t match = MatchMarks(marks, mark); match != 0; match &= match - 1) {
      const size_t index = i * kItemsPerBlock + static_cast<size_t>(std::countr_zero(match)) / 8;
      // Beyond the last item marks are left from items that were.
      if (index >= bucket.item_count) break;
      if (std::memcmp(ItemAt(bucket, index), suffix, kIdSuffixBytes) == 0) return index;
    }
  }
  return bucket.item_count;
}

const char* IdTable::Find(const base::KeyId& key_id) const {
  const Bucket& bucket = buckets_[BucketIndex(SuffixOf(key_id))];
  const size_t index = IndexOf(bucket, SuffixOf(key_id));
  return index < bucket.item_count ? ItemAt(bucket, index) : nullptr;
}

char* IdTable::Find(const base::KeyId& key_id) {
  return const_cast<char*>(static_cast<const IdTable*>(this)->Find(key_id));
}

char* IdTable::Insert(const base::KeyId& key_id) {
  // First, as it moves items.
  if (item_count_ >= kItemsPerBucketTarget * buckets_.size()) SplitOne();
  Bucket& bucket = buckets_[BucketIndex(SuffixOf(key_id))];
  SLIP_CHECK(IndexOf(bucket, SuffixOf(key_id)) == bucket.item_count);
  ++item_count_;
  return Append(bucket, SuffixOf(key_id));
}

void IdTable::Erase(const base::KeyId& key_id) {
  Bucket& bucket = buckets_[BucketIndex(SuffixOf(key_id))];
  const size_t index = IndexOf(bucket, SuffixOf(key_id));
  if (index == bucket.item_count) return;
  MoveItem(bucket, bucket.item_count - 1, index);
  Truncate(bucket, bucket.item_count - 1);
  --item_count_;
}

// Gives `bucket`, whose list has room for `old_count` blocks, one for `block_count`; it keeps the
// first of those it had.
void IdTable::ResizeBlocks(Bucket& bucket, size_t old_count, size_t block_count) {
  const size_t bytes = block_count * sizeof(Block);
  block_list_bytes_ += HeapBytes(bytes);
  block_list_bytes_ -= HeapBytes(old_count * sizeof(Block));
  if (bytes == 0) {
    std::free(bucket.blocks);
    bucket.blocks = nullptr;
    return;
  }
  bucket.blocks = static_cast<Block*>(std::realloc(bucket.blocks, bytes));
  SLIP_CHECK(bucket.blocks != nullptr);
}

// Adds an item with `suffix` behind the others of `bucket`; the rest of it is undefined.
char* IdTable::Append(Bucket& bucket, const void* suffix) {
  const size_t index = bucket.item_count;
  if (index % kItemsPerBlock == 0) {
    ResizeBlocks(bucket, index / kItemsPerBlock, index / kItemsPerBlock + 1);
    bucket.blocks[index / kItemsPerBlock] = {.number = pool_.Add(), .marks = {}};
  }
  ++bucket.item_count;
  bucket.blocks[index / kItemsPerBlock].marks[index % kItemsPerBlock] =
      MarkOf(HeadOf(suffix), PrefixBits(bucket));
  char* const item = ItemAt(bucket, index);
  std::memcpy(item, suffix, kIdSuffixBytes);
  return item;
}

// Copies the item at `from`, with its mark, over the one at `to`.
void IdTable::MoveItem(const Bucket& bucket, size_t from, size_t to) {
  if (from == to) return;
  std::memcpy(ItemAt(bucket, to), ItemAt(bucket, from), item_bytes_);
  bucket.blocks[to / kItemsPerBlock].marks[to % kItemsPerBlock] =
      bucket.blocks[from / kItemsPerBlock].marks[from % kItemsPerBlock];
}

// Removes the items of `bucket` from `item_count` on, and the blocks that they leave empty.
void IdTable::Truncate(Bucket& bucket, size_t item_count) {
  const size_t block_count = BlockCountOf(bucket.item_count);
  const size_t kept_count = BlockCountOf(item_count);
  // From the last one: RemoveBlock finds the bucket of another block by the first item in it, which
  // in those that are to go after this one is still an id of this bucket.
  for (size_t i = block_count; i > kept_count; --i) {
    bucket.item_count = static_cast<uint32_t>((i - 1) * kItemsPerBlock);
    RemoveBlock(bucket.blocks[i - 1].number);
  }
  if (kept_count != block_count) ResizeBlocks(bucket, block_count, kept_count);
  bucket.item_count = static_cast<uint32_t>(item_count);
}

// Removes the block of `number`, which no bucket has any more; the pool's last one takes its place.
void IdTable::RemoveBlock(uint32_t number) {
  const uint32_t last = pool_.block_count() - 1;
  if (number != last) {
    const char* const moved = pool_.block(last);
    std::memcpy(pool_.block(number), moved, kItemsPerBlock * item_bytes_);
    const Bucket& owner = buckets_[BucketIndex(moved)];
    Block* const end = owner.blocks + BlockCountOf(owner.item_count);
    Block* const found = std::find_if(owner.blocks, end,
                                      [last](const Block& block) { return block.number == last; });
    SLIP_CHECK(found != end);
    found->number = number;
  }
  pool_.RemoveLast();
}

void IdTable::SplitOne() {
  SLIP_CHECK(level_ < kLevelMax);
  if (buckets_.size() == buckets_.capacity()) {
    buckets_.reserve(buckets_.size() + buckets_.size() / kDirectoryGrowthDivisor + 1);
  }
  buckets_.emplace_back();
  Bucket& lower = buckets_[split_];
  Bucket& upper = buckets_.back();
  const size_t lower_count = Partition(lower, uint64_t{1} << (63 - level_));
  if (++split_ == size_t{1} << level_) {
    ++level_;
    split_ = 0;
  }
  if (lower_count < lower.item_count) MoveTail(lower, lower_count, upper);
  SetMarks(lower);
  SetMarks(upper);
}

// Puts the items of `bucket` without `bit` in their ids' heads before those that have it; returns
// how many there are. Leaves the marks to SetMarks.
size_t IdTable::Partition(const Bucket& bucket, uint64_t bit) {
  size_t first = 0;
  size_t end = bucket.item_count;
  while (true) {
    while (first < end && (HeadOf(ItemAt(bucket, first)) & bit) == 0) ++first;
    while (first < end && (HeadOf(ItemAt(bucket, end - 1)) & bit) != 0) --end;
    if (first == end) return first;
    char* const a = ItemAt(bucket, first);
    std::swap_ranges(a, a + item_bytes_, ItemAt(bucket, end - 1));
  }
}

// Moves the items of `lower` from `first` on to `upper`, which is empty: whole blocks as they are,
// and those in a block with some that stay behind them.
void IdTable::MoveTail(Bucket& lower, size_t first, Bucket& upper) {
  const size_t old_count = BlockCountOf(lower.item_count);
  const size_t kept_count = BlockCountOf(first);
  const size_t block_count = old_count - kept_count;
  const size_t shared_end = std::min<size_t>(lower.item_count, kept_count * kItemsPerBlock);
  ResizeBlocks(upper, 0, block_count);
  std::copy_n(lower.blocks + kept_count, block_count, upper.blocks);
  upper.item_count = static_cast<uint32_t>(lower.item_count - shared_end);
  for (size_t i = first; i < shared_end; ++i) {
    const char* const item = ItemAt(lower, i);
    char* const copy = Append(upper, item);
    std::memcpy(copy, item, item_bytes_);
  }
  ResizeBlocks(lower, old_count, kept_count);
  lower.item_count = static_cast<uint32_t>(first);
}

// Brings the marks of `bucket` up to date with its prefix.
void IdTable::SetMarks(const Bucket& bucket) {
  const int prefix_bits = PrefixBits(bucket);
  for (size_t i = 0; i < bucket.item_count; ++i) {
    bucket.blocks[i / kItemsPerBlock].marks[i % kItemsPerBlock] =
        MarkOf(HeadOf(ItemAt(bucket, i)), prefix_bits);
  }
}

bool IdTable::Visit(const base::KeyRange& range, absl::FunctionRef<bool(const char*)> visit) const {
  std::vector<Candidate> candidates;
  std::vector<Candidate> sorted;
  const uint64_t last_prefix = LeadingBits(HeadOf(SuffixOf(range.last)), level_);
  for (uint64_t prefix = LeadingBits(HeadOf(SuffixOf(range.first)), level_); prefix <= last_prefix;
       ++prefix) {
    const size_t index = ReverseLow(prefix, level_);
    candidates.clear();
    Collect(buckets_[index], range, candidates);
    // A split bucket kept the ids that go on with a 0; those with a 1 are in another.
    if (index < split_) Collect(buckets_[index + (size_t{1} << level_)], range, candidates);
    Sort(candidates, level_, sorted);
    for (const Candidate& candidate : sorted) {
      if (!visit(candidate.item)) return false;
    }
  }
  return true;
}

bool IdTable::VisitMutable(const base::KeyRange& range, absl::FunctionRef<bool(char*)> visit) {
  return Visit(range, [visit](const char* item) { return visit(const_cast<char*>(item)); });
}

// Puts `candidates`, whose ids have the first `prefix_bits` bits in common, into `sorted` in the
// order of ids. As ids are spread evenly, the bits that follow nearly sort them.
void IdTable::Sort(const std::vector<Candidate>& candidates, int prefix_bits,
                   std::vector<Candidate>& sorted) {
  std::array<uint32_t, 1 << kMarkBits> ends = {};  // First counts, then where each mark's go next.
  for (const Candidate& candidate : candidates) ++ends[MarkOf(candidate.head, prefix_bits)];
  uint32_t begin = 0;
  for (uint32_t& end : ends) begin += std::exchange(end, begin);
  sorted.resize(candidates.size());
  for (const Candidate& candidate : candidates) {
    sorted[ends[MarkOf(candidate.head, prefix_bits)]++] = candidate;
  }
  begin = 0;
  for (const uint32_t end : ends) {
    std::sort(sorted.begin() + begin, sorted.begin() + end,
              [](const Candidate& a, const Candidate& b) {
                if (a.head != b.head) return a.head < b.head;
                return std::memcmp(a.item, b.item, kIdSuffixBytes) < 0;
              });
    begin = end;
  }
}

// Appends the items of `bucket` that are in `range` to `candidates`, in no order.
void IdTable::Collect(const Bucket& bucket, const base::KeyRange& range,
                      std::vector<Candidate>& candidates) const {
  if (bucket.item_count == 0) return;
  const int prefix_bits = PrefixBits(bucket);
  const uint64_t prefix = LeadingBits(HeadOf(ItemAt(bucket, 0)), prefix_bits);
  const uint8_t* const first = SuffixOf(range.first);
  const uint8_t* const last = SuffixOf(range.last);
  // The marks that ids of the range can have here, so that only their items are read.
  const uint64_t first_prefix = LeadingBits(HeadOf(first), prefix_bits);
  const uint64_t last_prefix = LeadingBits(HeadOf(last), prefix_bits);
  if (prefix < first_prefix || prefix > last_prefix) return;
  const uint8_t mark_min = prefix == first_prefix ? MarkOf(HeadOf(first), prefix_bits) : 0;
  const uint8_t mark_max = prefix == last_prefix ? MarkOf(HeadOf(last), prefix_bits) : 0xff;
  for (size_t i = 0; i < bucket.item_count; ++i) {
    const uint8_t mark = bucket.blocks[i / kItemsPerBlock].marks[i % kItemsPerBlock];
    if (mark < mark_min || mark > mark_max) continue;
    const char* const item = ItemAt(bucket, i);
    if (std::memcmp(item, first, kIdSuffixBytes) < 0) continue;
    if (std::memcmp(item, last, kIdSuffixBytes) > 0) continue;
    candidates.push_back({.head = HeadOf(item), .item = item});
  }
}

size_t IdTable::Sweep(size_t bucket_count, size_t& hand, absl::FunctionRef<bool(char*)> remove) {
  size_t removed_count = 0;
  for (size_t i = 0; i < std::min(bucket_count, buckets_.size()); ++i) {
    if (hand >= buckets_.size()) hand = 0;
    Bucket& bucket = buckets_[hand++];
    size_t kept_count = 0;
    for (size_t index = 0; index < bucket.item_count; ++index) {
      if (!remove(ItemAt(bucket, index))) MoveItem(bucket, index, kept_count++);
    }
    removed_count += bucket.item_count - kept_count;
    Truncate(bucket, kept_count);
  }
  item_count_ -= removed_count;
  return removed_count;
}

}  // namespace slipstream::storage
