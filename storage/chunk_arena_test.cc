#include "storage/chunk_arena.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <set>
#include <vector>

#include "gtest/gtest.h"

namespace slipstream::storage {
namespace {

// Returns how many pages of `chunk` take memory, as the system says.
int ResidentPages(char* chunk) {
  const long page_bytes = ::sysconf(_SC_PAGESIZE);
  std::vector<unsigned char> resident(kChunkBytes / static_cast<size_t>(page_bytes));
  EXPECT_EQ(::mincore(chunk, kChunkBytes, resident.data()), 0);
  int count = 0;
  for (const unsigned char page : resident) count += page & 1;
  return count;
}

TEST(ChunkArenaTest, ChunksAreApartAndKeepTheirContent) {
  ChunkArena arena;
  std::vector<char*> chunks;
  // More than a region has.
  for (int i = 0; i < 1000; ++i) {
    chunks.push_back(arena.Allocate());
    std::memset(chunks.back(), i % 251, kChunkBytes);
  }
  for (int i = 0; i < 1000; ++i) {
    for (size_t at = 0; at < kChunkBytes; ++at) {
      ASSERT_EQ(static_cast<uint8_t>(chunks[i][at]), i % 251) << i;
    }
  }
  for (char* const chunk : chunks) arena.Free(chunk);
}

TEST(ChunkArenaTest, FreeChunksGoBackToTheSystemAndAreGivenAgain) {
  ChunkArena arena;
  std::vector<char*> chunks;
  for (int i = 0; i < 1000; ++i) {
    chunks.push_back(arena.Allocate());
    std::memset(chunks.back(), 1, kChunkBytes);
  }
  const auto resident_count = [&chunks] {
    int count = 0;
    for (char* const chunk : chunks) count += ResidentPages(chunk) > 0 ? 1 : 0;
    return count;
  };
  ASSERT_EQ(resident_count(), 1000);
  for (char* const chunk : chunks) arena.Free(chunk);
  // A 64th stays at hand: four for each 2 MiB.
  EXPECT_EQ(resident_count(), 16);

  // The same ones again, each once, those with their pages first.
  std::set<char*> again;
  for (int i = 0; i < 1000; ++i) {
    char* const chunk = arena.Allocate();
    if (i < 16) ASSERT_GT(ResidentPages(chunk), 0) << i;
    std::memset(chunk, 2, kChunkBytes);
    again.insert(chunk);
  }
  EXPECT_EQ(again, std::set<char*>(chunks.begin(), chunks.end()));
  for (char* const chunk : chunks) arena.Free(chunk);
}

}  // namespace
}  // namespace slipstream::storage
