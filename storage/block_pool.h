// BlockPool: blocks of one size in memory, numbered from 0 without gaps.
//
// They stand in chunks of an arena (chunk_arena.h), which a pool gives back as it shrinks. The
// first 32 stand in pieces of 1, 1, 2, 4, 8 and 16 from malloc, so that a small pool takes little.
#ifndef SLIPSTREAM_STORAGE_BLOCK_POOL_H_
#define SLIPSTREAM_STORAGE_BLOCK_POOL_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "storage/chunk_arena.h"

namespace slipstream::storage {

// Not thread-safe. A block's address is valid until the block is removed.
class BlockPool {
 public:
  // Each block has `block_bytes` bytes, at least one and at most kChunkBytes, and no alignment.
  // `arena` must outlive the pool.
  BlockPool(ChunkArena* arena, size_t block_bytes);
  ~BlockPool();
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;

  // Adds a block behind the others, its content undefined; returns its number.
  uint32_t Add();
  // Removes the last block; there must be one.
  void RemoveLast();
  // Removes all blocks, and gives the memory back.
  void Clear();

  // Returns the block of `number`, which is below block_count().
  char* block(uint32_t number) const {
    const Place place = PlaceOf(number);
    return pieces_[place.piece] + place.index * block_bytes_;
  }

  uint32_t block_count() const { return block_count_; }
  // Memory beyond the object itself, the allocator's overhead included.
  uint64_t bytes() const;

 private:
  struct Place {
    uint32_t piece;
    size_t index;  // Within it.
  };

  // Blocks in pieces from malloc, and those pieces.
  static constexpr uint32_t kSmallCount = 32;
  static constexpr uint32_t kSmallPieces = std::bit_width(kSmallCount);

  Place PlaceOf(uint32_t number) const {
    if (number >= kSmallCount) {
      const uint32_t rest = number - kSmallCount;
      return {kSmallPieces + rest / blocks_per_chunk_, rest % blocks_per_chunk_};
    }
    return {static_cast<uint32_t>(std::bit_width(number)), number - std::bit_floor(number)};
  }
  // Returns the blocks of one of the pieces from malloc.
  static size_t BlocksOf(size_t small_piece) {
    return small_piece == 0 ? 1 : size_t{1} << (small_piece - 1);
  }

  char* NewPiece(size_t piece);
  void FreeLastPiece();

  ChunkArena* const arena_;
  const size_t block_bytes_;
  const uint32_t blocks_per_chunk_;
  std::vector<char*> pieces_;
  uint32_t block_count_ = 0;
};

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_BLOCK_POOL_H_
