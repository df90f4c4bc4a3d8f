#include "storage/block_pool.h"

#include <algorithm>
#include <cstdlib>
#include <limits>

#include "base/check.h"
#include "storage/heap_bytes.h"

namespace slipstream::storage {
namespace {

// The directory of pieces grows by this part of itself, so that little of it is spare.
constexpr size_t kDirectoryGrowthDivisor = 8;

}  // namespace

BlockPool::BlockPool(ChunkArena* arena, size_t block_bytes)
    : arena_(arena),
      block_bytes_(block_bytes),
      blocks_per_chunk_(static_cast<uint32_t>(kChunkBytes / block_bytes)) {
  SLIP_CHECK(blocks_per_chunk_ > 0);
}

BlockPool::~BlockPool() { Clear(); }

uint32_t BlockPool::Add() {
  SLIP_CHECK(block_count_ < std::numeric_limits<uint32_t>::max());
  const size_t piece = PlaceOf(block_count_).piece;
  if (piece == pieces_.size()) {
    if (piece == pieces_.capacity()) {
      pieces_.reserve(piece + piece / kDirectoryGrowthDivisor + 1);
    }
    pieces_.push_back(NewPiece(piece));
  }
  return block_count_++;
}

void BlockPool::RemoveLast() {
  SLIP_CHECK(block_count_ > 0);
  if (PlaceOf(--block_count_).index == 0) FreeLastPiece();
}

void BlockPool::Clear() {
  while (!pieces_.empty()) FreeLastPiece();
  pieces_ = std::vector<char*>();
  block_count_ = 0;
}

char* BlockPool::NewPiece(size_t piece) {
  if (piece >= kSmallPieces) return arena_->Allocate();
  char* const small = static_cast<char*>(std::malloc(BlocksOf(piece) * block_bytes_));
  SLIP_CHECK(small != nullptr);
  return small;
}

void BlockPool::FreeLastPiece() {
  if (pieces_.size() > kSmallPieces) {
    arena_->Free(pieces_.back());
  } else {
    std::free(pieces_.back());
  }
  pieces_.pop_back();
}

uint64_t BlockPool::bytes() const {
  const size_t small_count = std::min<size_t>(pieces_.size(), kSmallPieces);
  uint64_t bytes =
      HeapBytes(pieces_.capacity() * sizeof(char*)) + (pieces_.size() - small_count) * kChunkBytes;
  for (size_t piece = 0; piece < small_count; ++piece) {
    bytes += HeapBytes(BlocksOf(piece) * block_bytes_);
  }
  return bytes;
}

}  // namespace slipstream::storage
