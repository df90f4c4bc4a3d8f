#include "merkle/tree.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/error_reason.h"

namespace slipstream::merkle {
namespace {

// Passes of Root over all shards before it takes what it has.
constexpr int kRootPassesMax = 4;
// Proofs begun before giving up. One takes some 100 us, in which nobody may write.
constexpr int kProofAttemptsMax = 16;

std::vector<std::unique_ptr<TreeShard>> MakeShards(const LeafSource* source) {
  std::vector<std::unique_ptr<TreeShard>> shards;
  shards.reserve(base::kShardCount);
  for (int i = 0; i < base::kShardCount; ++i) {
    shards.push_back(std::make_unique<TreeShard>(source, static_cast<uint8_t>(i)));
  }
  return shards;
}

base::KeyPrefix PrefixOfShard(size_t index) {
  base::KeyId key_id;
  key_id.bytes[0] = static_cast<uint8_t>(index);
  return base::MakePrefix(key_id, TreeShard::kPrefixBits);
}

}  // namespace

Tree::Tree(const LeafSource* source) : source_(source), shards_(MakeShards(source)) {}

Tree::~Tree() = default;

void Tree::MarkDirty(const base::KeyId& key_id) { shards_[key_id.shard()]->MarkDirty(key_id); }

bool Tree::Settle(size_t bucket_count_max) {
  bucket_count_max = std::max<size_t>(1, bucket_count_max);
  // Threads that settle at the same time take different shards; the last ones wait for each other.
  if (SettleShards(&TreeShard::SettleUnlessBusy, bucket_count_max) == 0) {
    SettleShards(&TreeShard::Settle, bucket_count_max);
  }
  return std::any_of(shards_.begin(), shards_.end(),
                     [](const std::unique_ptr<TreeShard>& shard) { return shard->has_dirty(); });
}

// Settles buckets of the shards in turn; returns how many, `bucket_count_max` if there were more.
size_t Tree::SettleShards(size_t (TreeShard::*settle)(size_t), size_t bucket_count_max) {
  size_t left = bucket_count_max;
  const size_t first = next_shard_.load(std::memory_order_relaxed);
  for (size_t i = 0; i < shards_.size() && left != 0; ++i) {
    const size_t index = (first + i) % shards_.size();
    left -= (*shards_[index].*settle)(left);
    next_shard_.store(index, std::memory_order_relaxed);
  }
  return bucket_count_max - left;
}

Tree::Verified Tree::Verify(const VerifyPlace& place, size_t bucket_count) {
  const TreeShard::Verified verified = shards_[place.shard]->Verify(place.bucket, bucket_count);
  Verified result{.next = place, .difference_count = verified.difference_count};
  result.next.bucket = verified.next_bucket;
  // The shard's number wraps around.
  if (verified.next_bucket == 0) ++result.next.shard;
  return result;
}

base::Digest Tree::Root() {
  Subtree root;
  for (int pass = 0; pass < kRootPassesMax; ++pass) {
    const uint64_t mark_count = MarkCount();
    root = FoldShards(0, shards_.size());
    if (MarkCount() == mark_count) break;
  }
  return root.digest;
}

base::Digest Tree::DigestOf(const base::KeyPrefix& prefix) {
  if (prefix.bit_count >= TreeShard::kPrefixBits) {
    return shards_[prefix.bits.shard()]->SubtreeAt(prefix).digest;
  }
  const size_t count = shards_.size() >> prefix.bit_count;
  return FoldShards(prefix.bits.shard(), count).digest;
}

absl::StatusOr<Tree::RootedProof> Tree::Prove(const base::KeyId& key_id) {
  for (int attempt = 0; attempt < kProofAttemptsMax; ++attempt) {
    const uint64_t mark_count = MarkCount();
    RootedProof result = ProveOnce(key_id);
    if (MarkCount() != mark_count) continue;
    if (VerifyProof(result.proof, key_id, result.root).ok()) return result;
  }
  return base::WithReason(
      absl::AbortedError(absl::StrCat("entries changed during each of ", kProofAttemptsMax,
                                      " attempts to read the path of the key at one moment")),
      base::kReasonTreeBusy);
}

std::string Tree::Save(uint8_t shard) const { return shards_[shard]->Save(); }

absl::Status Tree::Load(uint8_t shard, absl::string_view saved) {
  return shards_[shard]->Load(saved);
}

uint64_t Tree::leaf_count() const {
  uint64_t count = 0;
  for (const auto& shard : shards_) count += shard->leaf_count();
  return count;
}

uint64_t Tree::memory_bytes() const {
  uint64_t bytes = sizeof(*this) + shards_.capacity() * sizeof(shards_[0]);
  for (const auto& shard : shards_) bytes += shard->memory_bytes();
  return bytes;
}

uint64_t Tree::MarkCount() const {
  uint64_t count = 0;
  for (const auto& shard : shards_) count += shard->mark_count();
  return count;
}

Subtree Tree::FoldShards(size_t first, size_t count) {
  if (count == 1) return shards_[first]->SubtreeAt(PrefixOfShard(first));
  return Join(FoldShards(first, count / 2), FoldShards(first + count / 2, count / 2));
}

std::vector<Subtree> Tree::UpperNodes() {
  std::vector<Subtree> nodes(2 * shards_.size());
  for (size_t i = 0; i < shards_.size(); ++i) {
    nodes[shards_.size() + i] = shards_[i]->SubtreeAt(PrefixOfShard(i));
  }
  for (size_t i = shards_.size() - 1; i >= 1; --i) nodes[i] = Join(nodes[2 * i], nodes[2 * i + 1]);
  return nodes;
}

Tree::RootedProof Tree::ProveOnce(const base::KeyId& key_id) {
  const std::vector<Subtree> upper = UpperNodes();
  const auto subtree_at = [this, &upper](const base::KeyPrefix& prefix) {
    const size_t in_level =
        prefix.bits.shard() >>
        (TreeShard::kPrefixBits - std::min(prefix.bit_count, TreeShard::kPrefixBits));
    if (prefix.bit_count <= TreeShard::kPrefixBits) {
      return upper[(size_t{1} << prefix.bit_count) + in_level];
    }
    return shards_[prefix.bits.shard()]->SubtreeAt(prefix);
  };
  RootedProof result{.root = upper[1].digest, .proof = {}};
  base::KeyPrefix path = base::MakePrefix(key_id, 0);
  Subtree subtree = upper[1];
  while (subtree.size == SubtreeSize::kMany && path.bit_count < base::kKeyIdBits) {
    const uint32_t bit = static_cast<uint32_t>(key_id.bit(path.bit_count));
    result.proof.siblings.push_back(subtree_at(base::ExtendPrefix(path, 1 - bit, 1)).digest);
    path = base::ExtendPrefix(path, bit, 1);
    subtree = subtree_at(path);
  }
  if (subtree.size == SubtreeSize::kOne) {
    source_->VisitLeaves(base::RangeOf(path), [&result](const Leaf& leaf) {
      result.proof.end = leaf;
      return false;
    });
  }
  return result;
}

}  // namespace slipstream::merkle
