#include "merkle/tree_verify.h"

namespace slipstream::merkle {

base::Digest DigestByDefinition(const std::vector<KeyedDigest>& leaves, int depth) {
  if (leaves.empty()) return base::Digest{};
  if (leaves.size() == 1) return leaves.front().second;
  std::vector<KeyedDigest> zero;
  std::vector<KeyedDigest> one;
  for (const KeyedDigest& leaf : leaves) {
    (leaf.first.bit(depth) == 0 ? zero : one).push_back(leaf);
  }
  return DigestOfNode(DigestByDefinition(zero, depth + 1), DigestByDefinition(one, depth + 1));
}

base::Digest DigestByDefinition(const std::vector<Leaf>& leaves, const base::KeyPrefix& prefix) {
  std::vector<KeyedDigest> inside;
  for (const Leaf& leaf : leaves) {
    if (base::HasPrefix(leaf.key_id, prefix)) inside.emplace_back(leaf.key_id, DigestOfLeaf(leaf));
  }
  return DigestByDefinition(inside, prefix.bit_count);
}

Proof ProofByDefinition(const std::vector<Leaf>& leaves, const base::KeyId& key_id) {
  Proof proof;
  std::vector<Leaf> below = leaves;
  for (int depth = 0; below.size() > 1; ++depth) {
    const base::KeyPrefix path = base::MakePrefix(key_id, depth);
    const auto bit = static_cast<uint32_t>(key_id.bit(depth));
    proof.siblings.push_back(DigestByDefinition(below, base::ExtendPrefix(path, 1 - bit, 1)));
    std::erase_if(below, [&key_id, depth](const Leaf& leaf) {
      return leaf.key_id.bit(depth) != key_id.bit(depth);
    });
  }
  if (!below.empty()) proof.end = below.front();
  return proof;
}

}  // namespace slipstream::merkle
