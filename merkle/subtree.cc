#include "merkle/subtree.h"

#include <bit>

#include "base/check.h"
#include "merkle/leaf.h"

namespace slipstream::merkle {
namespace {

// Returns how many leading bits `a` and `b` share. They differ.
int SharedBits(const base::KeyId& a, const base::KeyId& b) {
  size_t i = 0;
  while (a.bytes[i] == b.bytes[i]) ++i;
  const auto difference = static_cast<uint8_t>(a.bytes[i] ^ b.bytes[i]);
  return static_cast<int>(8 * i) + std::countl_zero(difference);
}

// Returns what `subtree`, which starts at depth `from` on the path of `key_id`, is when seen from
// depth `to` above, everything beside it being empty.
Subtree Lift(Subtree subtree, int from, int to, const base::KeyId& key_id) {
  if (subtree.size != SubtreeSize::kMany) return subtree;
  for (int depth = from - 1; depth >= to; --depth) {
    subtree = key_id.bit(depth) == 0 ? Join(subtree, Subtree{}) : Join(Subtree{}, subtree);
  }
  return subtree;
}

}  // namespace

Subtree Join(const Subtree& left, const Subtree& right) {
  if (left.size == SubtreeSize::kEmpty && right.size != SubtreeSize::kMany) return right;
  if (right.size == SubtreeSize::kEmpty && left.size != SubtreeSize::kMany) return left;
  return {.digest = DigestOfNode(left.digest, right.digest), .size = SubtreeSize::kMany};
}

void SubtreeFolder::Add(const base::KeyId& key_id, const base::Digest& leaf) {
  if (current_.size != SubtreeSize::kEmpty) {
    SLIP_CHECK(last_ < key_id);
    const int split = SharedBits(last_, key_id);
    SLIP_CHECK(split >= depth_);
    JoinBelow(split);
    pending_.push_back(
        {.subtree = current_, .depth = current_depth_, .split = split, .key_id = last_});
  }
  current_ = {.digest = leaf, .size = SubtreeSize::kOne};
  last_ = key_id;
}

Subtree SubtreeFolder::Finish() {
  JoinBelow(depth_ - 1);
  const Subtree result = Lift(current_, current_depth_, depth_, last_);
  current_ = {};
  return result;
}

void SubtreeFolder::JoinBelow(int split) {
  while (!pending_.empty() && pending_.back().split > split) {
    const Pending& left = pending_.back();
    const int child_depth = left.split + 1;
    current_ = Join(Lift(left.subtree, left.depth, child_depth, left.key_id),
                    Lift(current_, current_depth_, child_depth, last_));
    current_depth_ = left.split;
    pending_.pop_back();
  }
}

}  // namespace slipstream::merkle
