#include "storage/aligned_buffer.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "storage/frame.h"

namespace slipstream::storage {
namespace {

TEST(AlignedBufferTest, IsAlignedAndHoldsItsBytesAtAllSizes) {
  for (const size_t pages : {1, 2, 31, 32, 33, 1000}) {
    AlignedBuffer buffer(pages * kPageBytes);
    EXPECT_EQ(buffer.capacity(), pages * kPageBytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % kPageBytes, 0u);
    std::memset(buffer.data(), 7, buffer.capacity());
    EXPECT_EQ(buffer.view(), std::string(pages * kPageBytes, 7));
    const char* const data = buffer.data();
    AlignedBuffer taken = std::move(buffer);
    EXPECT_EQ(taken.data(), data);
    EXPECT_EQ(taken.capacity(), pages * kPageBytes);
    taken = AlignedBuffer(kPageBytes);
    EXPECT_EQ(taken.capacity(), kPageBytes);
  }
}

TEST(AlignedBufferTest, ALargeOneGoesBackToTheSystemAtOnce) {
  char* data = nullptr;
  constexpr size_t kBytes = 128 << 10;
  {
    AlignedBuffer buffer(kBytes);
    std::memset(buffer.data(), 7, kBytes);
    data = buffer.data();
  }
  // Nothing is mapped there any more.
  std::vector<unsigned char> resident(kBytes / kPageBytes);
  EXPECT_EQ(::mincore(data, kBytes, resident.data()), -1);
  EXPECT_EQ(errno, ENOMEM);
}

}  // namespace
}  // namespace slipstream::storage
