#include "storage/io_ring.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "base/testing/status_matchers.h"
#include "gtest/gtest.h"

namespace slipstream::storage {
namespace {

using base::testing::IsOk;
using base::testing::StatusIs;

// A file of 4-byte numbers, without a name.
class NumbersFile {
 public:
  explicit NumbersFile(uint32_t count) {
    std::string path = absl::StrCat(testing::TempDir(), "/io_ring_XXXXXX");
    descriptor_ = mkstemp(path.data());
    unlink(path.c_str());
    for (uint32_t i = 0; i < count; ++i) EXPECT_EQ(write(descriptor_, &i, sizeof(i)), 4);
  }
  ~NumbersFile() { close(descriptor_); }
  int descriptor() const { return descriptor_; }

 private:
  int descriptor_ = -1;
};

class IoRingTest : public ::testing::Test {
 protected:
  // Where the kernel has no io_uring it says so, and a test about it has no object.
  void SetUp() override {
    absl::StatusOr<std::unique_ptr<IoRing>> ring = IoRing::Create();
    if (ring.ok()) {
      ring_ = *std::move(ring);
    } else {
      EXPECT_THAT(ring.status(), StatusIs(absl::StatusCode::kUnavailable));
    }
  }

  std::unique_ptr<IoRing> ring_;
};

TEST_F(IoRingTest, MakesMoreReadsThanItHoldsAtOnce) {
  if (ring_ == nullptr) return;
  constexpr uint32_t kCount = 5 * IoRing::kDepth + 3;
  const NumbersFile file(kCount);
  std::vector<uint32_t> numbers(kCount, ~uint32_t{0});
  std::vector<IoRing::Read> reads;
  for (uint32_t i = 0; i < kCount; ++i) {
    reads.push_back({.descriptor = file.descriptor(),
                     .offset = uint64_t{i} * 4,
                     .count = 4,
                     .destination = reinterpret_cast<char*>(&numbers[i])});
  }
  for (int round = 0; round < 3; ++round) {
    ASSERT_OK(ring_->Run(absl::MakeSpan(reads)));
    for (uint32_t i = 0; i < kCount; ++i) {
      EXPECT_EQ(reads[i].result, 4);
      EXPECT_EQ(numbers[i], i);
      numbers[i] = ~uint32_t{0};
    }
  }
}

TEST_F(IoRingTest, SaysHowEachReadEnded) {
  if (ring_ == nullptr) return;
  const NumbersFile file(3);
  char bytes[8] = {};
  IoRing::Read whole = {.descriptor = file.descriptor(), .count = 8, .destination = bytes};
  IoRing::Read cut = whole;
  cut.offset = 8;
  IoRing::Read beyond = whole;
  beyond.offset = 100;
  IoRing::Read closed = whole;
  closed.descriptor = -1;
  std::vector<IoRing::Read> reads = {whole, cut, beyond, closed};
  ASSERT_OK(ring_->Run(absl::MakeSpan(reads)));
  EXPECT_EQ(reads[0].result, 8);
  EXPECT_EQ(reads[1].result, 4);
  EXPECT_EQ(reads[2].result, 0);
  EXPECT_EQ(reads[3].result, -EBADF);
}

TEST_F(IoRingTest, MakesNoReadsAtAll) {
  if (ring_ == nullptr) return;
  EXPECT_OK(ring_->Run({}));
}

}  // namespace
}  // namespace slipstream::storage
