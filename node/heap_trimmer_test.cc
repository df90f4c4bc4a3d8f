#include "node/heap_trimmer.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "absl/base/config.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace slipstream::node {
namespace {

constexpr uint64_t kLimit = 100;

TEST(TrimPaceTest, TrimsBeyondTheLimitOnly) {
  const TrimPace pace(kLimit);
  EXPECT_FALSE(pace.IsDue(absl::Seconds(1), kLimit));
  EXPECT_TRUE(pace.IsDue(absl::Seconds(1), kLimit + 1));
}

TEST(TrimPaceTest, TakesAFiftiethOfTheTimeAtMost) {
  TrimPace pace(kLimit);
  pace.NoteTrim(absl::Seconds(10), absl::Milliseconds(100), kLimit / 2);
  EXPECT_FALSE(pace.IsDue(absl::Milliseconds(14'999), 2 * kLimit));
  EXPECT_TRUE(pace.IsDue(absl::Seconds(15), 2 * kLimit));
}

TEST(TrimPaceTest, DoesNotTryAgainForWhatTheLastOneLeft) {
  TrimPace pace(kLimit);
  pace.NoteTrim(absl::Seconds(10), absl::Milliseconds(1), /*bytes=*/2 * kLimit);
  EXPECT_FALSE(pace.IsDue(absl::Seconds(11), 2 * kLimit + kLimit / 32));
  EXPECT_TRUE(pace.IsDue(absl::Seconds(11), 2 * kLimit + kLimit / 32 + 1));
  pace.NoteTrim(absl::Seconds(12), absl::Milliseconds(1), /*bytes=*/kLimit / 2);
  EXPECT_FALSE(pace.IsDue(absl::Seconds(13), kLimit));
  EXPECT_TRUE(pace.IsDue(absl::Seconds(13), kLimit + 1));
}

// Sanitizers have an allocator of their own, which malloc_trim knows nothing of.
#if !defined(ABSL_HAVE_ADDRESS_SANITIZER) && !defined(ABSL_HAVE_THREAD_SANITIZER)
// Some 64 MiB of blocks, of which every hundredth stays: no arena has a free end.
TEST(HeapTrimmerTest, GivesHolesBackWhileTheProcessHasMoreThanItMay) {
  constexpr size_t kBlockCount = 64 << 10;
  constexpr size_t kBlockBytes = 1000;
  std::vector<void*> blocks(kBlockCount);
  for (void*& block : blocks) {
    block = std::malloc(kBlockBytes);
    std::memset(block, 1, kBlockBytes);
  }
  for (size_t i = 0; i < kBlockCount; ++i) {
    if (i % 100 == 0) continue;
    std::free(blocks[i]);
    blocks[i] = nullptr;
  }
  const uint64_t before = OwnMemoryBytes();
  ASSERT_GT(before, uint64_t{48} << 20);
  {
    const HeapTrimmer trimmer(/*bytes_max=*/before - (uint64_t{32} << 20));
    const absl::Time deadline = absl::Now() + absl::Minutes(1);
    while (OwnMemoryBytes() > before - (uint64_t{32} << 20) && absl::Now() < deadline) {
    }
  }
  EXPECT_LE(OwnMemoryBytes(), before - (uint64_t{32} << 20));
  for (void* const block : blocks) std::free(block);
}

TEST(HeapTrimmerTest, WhatIsLargeGoesBackWhenItIsFreed) {
  const HeapTrimmer trimmer(/*bytes_max=*/uint64_t{1} << 40);
  const uint64_t before = OwnMemoryBytes();
  // The first of them would teach malloc to keep the others.
  for (const size_t bytes : {size_t{20} << 20, size_t{19} << 20, size_t{18} << 20}) {
    void* const block = std::malloc(bytes);
    std::memset(block, 1, bytes);
    ASSERT_GT(OwnMemoryBytes(), before + (uint64_t{16} << 20));
    std::free(block);
    EXPECT_LT(OwnMemoryBytes(), before + (uint64_t{4} << 20));
  }
}
#endif

TEST(HeapTrimmerTest, WithoutALimitThereIsNothingToDo) {
  const HeapTrimmer trimmer(/*bytes_max=*/0);
  EXPECT_GT(OwnMemoryBytes(), 0u);
}

}  // namespace
}  // namespace slipstream::node
