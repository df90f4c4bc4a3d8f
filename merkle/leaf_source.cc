#include "merkle/leaf_source.h"

#include <cstdint>

namespace slipstream::merkle {
namespace {

// Leaves counted in one visit, which holds a lock of the source.
constexpr uint64_t kCountedLeavesMax = 4096;

// Makes `range` what follows `seen` in it. Returns false if that is nothing.
bool ContinueAfter(const base::KeyId& seen, base::KeyRange& range) {
  if (!(seen < range.last)) return false;
  range.first = seen;
  for (size_t i = base::kKeyIdBytes; i-- > 0;) {
    if (++range.first.bytes[i] != 0) break;
  }
  return true;
}

}  // namespace

void LeafReader::ForEach(const base::KeyRange& range, absl::FunctionRef<void(const Leaf&)> use) {
  base::KeyRange rest = range;
  do {
    chunk_.clear();
    source_->VisitLeaves(rest, [this](const Leaf& leaf) {
      chunk_.push_back(leaf);
      return chunk_.size() < kChunkLeavesMax;
    });
    for (const Leaf& leaf : chunk_) use(leaf);
  } while (chunk_.size() == kChunkLeavesMax && ContinueAfter(chunk_.back().key_id, rest));
}

uint64_t CountLeaves(const LeafSource& source, const base::KeyRange& range) {
  base::KeyRange rest = range;
  base::KeyId last;
  uint64_t total = 0;
  uint64_t count = 0;
  do {
    count = 0;
    source.VisitLeaves(rest, [&count, &last](const Leaf& leaf) {
      last = leaf.key_id;
      return ++count < kCountedLeavesMax;
    });
    total += count;
  } while (count == kCountedLeavesMax && ContinueAfter(last, rest));
  return total;
}

}  // namespace slipstream::merkle
