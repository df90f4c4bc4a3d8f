#include "merkle/tree_shard.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "absl/strings/str_format.h"
#include "base/check.h"
#include "base/coding.h"
#include "base/digest.h"

namespace slipstream::merkle {
namespace {

constexpr size_t kNoLimit = std::numeric_limits<size_t>::max();

// A saved shard: its depth and 7 zero bytes; then for each bucket digest, leaf count, flags.
constexpr size_t kSavedHeaderBytes = 8;
constexpr size_t kSavedBucketBytes = sizeof(base::Digest) + sizeof(uint32_t) + 1;
// Beside the SubtreeSize.
constexpr uint8_t kSavedDirty = 0x80;

// Returns the least depth at which buckets hold no more entries than they should.
int DepthFor(uint64_t leaf_count) {
  int depth = 0;
  while (depth < DirtySet::kDepthMax && leaf_count > TreeShard::kLeavesPerBucketChosenMax
                                                         << depth) {
    ++depth;
  }
  return depth;
}

// Returns whether 2^depth buckets are about right for `leaf_count` entries.
bool DepthSuits(int depth, uint64_t leaf_count) {
  if (leaf_count > TreeShard::kLeavesPerBucketMax << depth) return depth == DirtySet::kDepthMax;
  return depth == 0 || leaf_count >= TreeShard::kLeavesPerBucketMin << depth;
}

Subtree FoldRange(LeafReader& reader, const base::KeyPrefix& prefix, uint64_t& leaf_count) {
  SubtreeFolder folder(prefix.bit_count);
  leaf_count = 0;
  reader.ForEach(base::RangeOf(prefix), [&folder, &leaf_count](const Leaf& leaf) {
    folder.Add(leaf.key_id, DigestOfLeaf(leaf));
    ++leaf_count;
  });
  return folder.Finish();
}

}  // namespace

TreeShard::TreeShard(const LeafSource* source, uint8_t index) : source_(source), index_(index) {
  nodes_.resize(2);
  leaf_counts_.resize(1);
  memory_bytes_ = sizeof(*this) + dirty_.memory_bytes() + 2 * sizeof(Subtree) + sizeof(uint32_t);
}

size_t TreeShard::Settle(size_t bucket_count_max) {
  absl::MutexLock lock(&mutex_);
  return SettleLocked(bucket_count_max);
}

size_t TreeShard::SettleUnlessBusy(size_t bucket_count_max) {
  if (!mutex_.TryLock()) return 0;
  const size_t count = SettleLocked(bucket_count_max);
  mutex_.Unlock();
  return count;
}

size_t TreeShard::SettleLocked(size_t bucket_count_max) {
  if (!dirty_.any()) return 0;
  AdaptDepth();
  return SettleBuckets(0, (uint32_t{1} << depth_) - 1, bucket_count_max);
}

Subtree TreeShard::SubtreeAt(const base::KeyPrefix& prefix) {
  SLIP_CHECK(prefix.bit_count >= kPrefixBits);
  SLIP_CHECK(prefix.bits.shard() == index_);
  {
    absl::MutexLock lock(&mutex_);
    if (dirty_.any()) AdaptDepth();
    const int level = prefix.bit_count - kPrefixBits;
    if (level <= depth_) {
      const uint32_t node = BucketOf(prefix.bits, level);
      const int below = depth_ - level;
      SettleBuckets(node << below, ((node + 1) << below) - 1, kNoLimit);
      return nodes_[(size_t{1} << level) + node];
    }
  }
  LeafReader reader(source_);
  uint64_t leaf_count = 0;
  return FoldRange(reader, prefix, leaf_count);
}

TreeShard::Verified TreeShard::Verify(uint32_t first, size_t count_max) {
  absl::MutexLock lock(&mutex_);
  const uint32_t bucket_count = uint32_t{1} << depth_;
  Verified verified;
  LeafReader reader(source_);
  uint32_t bucket = std::min(first, bucket_count - 1);  // The depth may be another than last time.
  for (; bucket < bucket_count && verified.checked_count < count_max; ++bucket) {
    ++verified.checked_count;
    uint64_t leaf_count = 0;
    const base::KeyPrefix prefix = PrefixOf(bucket, depth_);
    const Subtree found = FoldRange(reader, prefix, leaf_count);
    if (found == nodes_[bucket_count + bucket] && leaf_count == leaf_counts_[bucket]) continue;
    // Whoever sees a change sees its mark, too; and only those who hold mutex_ take marks away.
    if (dirty_.Contains(bucket)) continue;
    ++verified.difference_count;
    dirty_.Mark(prefix.bits);
  }
  verified.next_bucket = bucket == bucket_count ? 0 : bucket;
  return verified;
}

void TreeShard::AdaptDepth() {
  // Each mark adds at most one entry. To count costs little beside hashing what the marks changed.
  const uint64_t mark_count = dirty_.mark_count();
  const uint64_t leaf_count_max = leaf_count() + (mark_count - counted_mark_count_);
  if (DepthSuits(depth_, leaf_count_max) && DepthSuits(depth_, leaf_count())) return;
  const uint64_t counted = CountLeaves(*source_, base::RangeOf(PrefixOf(0, 0)));
  counted_mark_count_ = mark_count;
  if (!DepthSuits(depth_, counted)) Resize(DepthFor(counted), counted);
}

void TreeShard::Resize(int depth, uint64_t leaf_count) {
  const size_t bucket_count = size_t{1} << depth;
  depth_ = depth;
  nodes_ = std::vector<Subtree>(2 * bucket_count);
  // Guesses until each bucket is settled, so that leaf_count() does not dip meanwhile.
  leaf_counts_ =
      std::vector<uint32_t>(bucket_count, static_cast<uint32_t>(leaf_count / bucket_count));
  leaf_counts_[0] += static_cast<uint32_t>(leaf_count % bucket_count);
  leaf_count_.store(leaf_count, std::memory_order_relaxed);
  dirty_.Reset(depth);
  CountMemory();
}

void TreeShard::CountMemory() {
  memory_bytes_.store(sizeof(*this) + dirty_.memory_bytes() + nodes_.capacity() * sizeof(Subtree) +
                          leaf_counts_.capacity() * sizeof(uint32_t),
                      std::memory_order_relaxed);
}

std::string TreeShard::Save() const {
  absl::MutexLock lock(&mutex_);
  const size_t bucket_count = size_t{1} << depth_;
  std::string saved(kSavedHeaderBytes + bucket_count * kSavedBucketBytes, '\0');
  saved[0] = static_cast<char>(depth_);
  char* target = saved.data() + kSavedHeaderBytes;
  // A bucket that is marked while this runs is marked again by whoever reads its entries anew.
  const std::vector<bool> dirty = dirty_.Dirty();
  for (size_t bucket = 0; bucket < bucket_count; ++bucket) {
    const Subtree& subtree = nodes_[bucket_count + bucket];
    std::memcpy(target, subtree.digest.bytes.data(), sizeof(base::Digest));
    base::StoreLittle<uint32_t>(leaf_counts_[bucket], target + sizeof(base::Digest));
    target[kSavedBucketBytes - 1] =
        static_cast<char>(static_cast<uint8_t>(subtree.size) | (dirty[bucket] ? kSavedDirty : 0));
    target += kSavedBucketBytes;
  }
  return saved;
}

absl::Status TreeShard::Load(absl::string_view saved) {
  const int depth = saved.empty() ? -1 : static_cast<uint8_t>(saved[0]);
  if (depth < 0 || depth > DirtySet::kDepthMax ||
      saved.size() != kSavedHeaderBytes + (kSavedBucketBytes << depth)) {
    return absl::DataLossError(
        absl::StrFormat("%d bytes are no saved tree of depth %d", saved.size(), depth));
  }
  const size_t bucket_count = size_t{1} << depth;
  std::vector<Subtree> nodes(2 * bucket_count);
  std::vector<uint32_t> leaf_counts(bucket_count);
  std::vector<uint32_t> dirty;
  uint64_t leaf_count = 0;
  for (size_t bucket = 0; bucket < bucket_count; ++bucket) {
    const char* const source = saved.data() + kSavedHeaderBytes + bucket * kSavedBucketBytes;
    Subtree& subtree = nodes[bucket_count + bucket];
    std::memcpy(subtree.digest.bytes.data(), source, sizeof(base::Digest));
    leaf_count += leaf_counts[bucket] = base::LoadLittle<uint32_t>(source + sizeof(base::Digest));
    const auto flags = static_cast<uint8_t>(source[kSavedBucketBytes - 1]);
    if ((flags & ~kSavedDirty) > static_cast<uint8_t>(SubtreeSize::kMany)) {
      return absl::DataLossError(absl::StrFormat("bucket %d has flags %d", bucket, flags));
    }
    subtree.size = static_cast<SubtreeSize>(flags & ~kSavedDirty);
    if ((flags & kSavedDirty) != 0) dirty.push_back(static_cast<uint32_t>(bucket));
  }
  for (size_t node = bucket_count - 1; node >= 1; --node) {
    nodes[node] = Join(nodes[2 * node], nodes[2 * node + 1]);
  }
  absl::MutexLock lock(&mutex_);
  depth_ = depth;
  nodes_ = std::move(nodes);
  leaf_counts_ = std::move(leaf_counts);
  leaf_count_.store(leaf_count, std::memory_order_relaxed);
  dirty_.Restore(depth, dirty);
  // Marks that the saved buckets do not know of are all made after this.
  counted_mark_count_ = dirty_.mark_count();
  CountMemory();
  return absl::OkStatus();
}

size_t TreeShard::SettleBuckets(uint32_t first, uint32_t last, size_t count_max) {
  std::vector<uint32_t> buckets;
  const uint64_t mark_count = dirty_.mark_count();
  // Clean before they are read: a change that the reading misses marks its bucket again.
  dirty_.Take(first, last, count_max, buckets);
  if (buckets.empty()) return 0;
  const size_t count = buckets.size();
  LeafReader reader(source_);
  for (size_t i = 0; i < count;) {
    const uint32_t neighbor_count = NeighborCount(absl::MakeConstSpan(buckets).subspan(i));
    HashNeighbors(reader, buckets[i], neighbor_count);
    i += neighbor_count;
  }
  HashAbove(std::move(buckets));
  // If no dirty bucket was left out, leaf_count() tells what every mark up to then made of it.
  const bool all = first == 0 && last == (uint32_t{1} << depth_) - 1 && count < count_max;
  if (all) counted_mark_count_ = mark_count;
  return count;
}

uint32_t TreeShard::NeighborCount(absl::Span<const uint32_t> buckets) const {
  uint32_t count = 1;
  uint64_t leaf_count = leaf_counts_[buckets[0]];
  for (; count < buckets.size() && buckets[count] == buckets[0] + count; ++count) {
    leaf_count += leaf_counts_[buckets[count]];
    if (leaf_count > LeafReader::kChunkLeavesMax) break;
  }
  return count;
}

void TreeShard::HashNeighbors(LeafReader& reader, uint32_t first, uint32_t bucket_count) {
  const uint32_t last = first + bucket_count - 1;
  SubtreeFolder folder(kPrefixBits + depth_);
  uint32_t bucket = first;
  uint32_t count = 0;  // Of its leaves.
  const auto end_bucket = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    nodes_[(size_t{1} << depth_) + bucket] = folder.Finish();
    leaf_count_.store(leaf_count() + count - leaf_counts_[bucket], std::memory_order_relaxed);
    leaf_counts_[bucket] = std::exchange(count, 0);
    ++bucket;
  };
  const base::KeyRange range{.first = base::RangeOf(PrefixOf(first, depth_)).first,
                             .last = base::RangeOf(PrefixOf(last, depth_)).last};
  reader.ForEach(range, [&](const Leaf& leaf) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    while (bucket < BucketOf(leaf.key_id, depth_)) end_bucket();
    folder.Add(leaf.key_id, DigestOfLeaf(leaf));
    ++count;
  });
  while (bucket <= last) end_bucket();
}

void TreeShard::HashAbove(std::vector<uint32_t> buckets) {
  for (int level = depth_ - 1; level >= 0; --level) {
    // What were nodes of the level below become their parents, each once.
    size_t parent_count = 0;
    for (const uint32_t child : buckets) {
      const uint32_t parent = child / 2;
      if (parent_count != 0 && buckets[parent_count - 1] == parent) continue;
      buckets[parent_count++] = parent;
      const size_t node = (size_t{1} << level) + parent;
      nodes_[node] = Join(nodes_[2 * node], nodes_[2 * node + 1]);
    }
    buckets.resize(parent_count);
  }
}

base::KeyPrefix TreeShard::PrefixOf(uint32_t bucket, int depth) const {
  const uint32_t bits = bucket << (DirtySet::kDepthMax - depth);
  base::KeyId key_id;
  key_id.bytes[0] = index_;
  key_id.bytes[1] = static_cast<uint8_t>(bits >> 16);
  key_id.bytes[2] = static_cast<uint8_t>(bits >> 8);
  key_id.bytes[3] = static_cast<uint8_t>(bits);
  return base::MakePrefix(key_id, kPrefixBits + depth);
}

}  // namespace slipstream::merkle
