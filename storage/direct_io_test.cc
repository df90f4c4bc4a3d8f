#include "storage/direct_io.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace slipstream::storage {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(DirectIoTest, PagesMeetEveryDemandUpToTheirOwnLength) {
  EXPECT_THAT(WhyNotDirect({.memory_bytes = 4, .offset_bytes = 512}), IsEmpty());
  EXPECT_THAT(WhyNotDirect({.memory_bytes = 4096, .offset_bytes = 4096}), IsEmpty());
}

TEST(DirectIoTest, GreaterDemandsAreNotMet) {
  EXPECT_THAT(WhyNotDirect({.memory_bytes = 512, .offset_bytes = 8192}),
              HasSubstr("demands alignment to 8192 bytes"));
  EXPECT_THAT(WhyNotDirect({.memory_bytes = 65536, .offset_bytes = 512}),
              HasSubstr("demands alignment to 65536 bytes"));
}

TEST(DirectIoTest, ZeroMeansThatThereIsNone) {
  EXPECT_THAT(WhyNotDirect({}), HasSubstr("no direct I/O"));
  EXPECT_THAT(WhyNotDirect({.memory_bytes = 512}), HasSubstr("no direct I/O"));
}

TEST(DirectIoTest, WhatIsLeftBufferedHasNoFlag) {
  std::string path = "/dev/shm/direct_io.XXXXXX";
  const int descriptor = ::mkstemp(path.data());
  ASSERT_GE(descriptor, 0);
  ::unlink(path.c_str());
  EXPECT_EQ(MakeDirect(descriptor), "tmpfs is memory");
  EXPECT_EQ(::fcntl(descriptor, F_GETFL) & O_DIRECT, 0);
  ::close(descriptor);
}

}  // namespace
}  // namespace slipstream::storage
