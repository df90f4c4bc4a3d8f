#include "storage/options.h"

#include <cmath>
#include <functional>

#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace slipstream::storage {
namespace {

using base::testing::StatusIs;
using ::testing::HasSubstr;

absl::Status Validate(const std::function<void(Options&)>& change) {
  Options options;
  change(options);
  return ValidateOptions(options);
}

auto Refused(const char* text) {
  return StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(text));
}

TEST(OptionsTest, DefaultsAreValid) { EXPECT_OK(ValidateOptions(Options{})); }

TEST(OptionsTest, BoundsOfLimits) {
  EXPECT_THAT(Validate([](Options& o) { o.limits.key_bytes_max = 0; }),
              Refused("key_bytes_max is 0"));
  EXPECT_THAT(Validate([](Options& o) { o.limits.key_bytes_max = 4097; }), Refused("1 to 4096"));
  EXPECT_THAT(Validate([](Options& o) { o.limits.value_bytes_max = (8 << 20) + 1; }),
              Refused("value_bytes_max is 8388609"));
  EXPECT_OK(Validate([](Options& o) {
    o.limits.value_bytes_max = 8 << 20;
    o.limits.batch_bytes_max = (8 << 20) + 4096;
  }));
  EXPECT_THAT(Validate([](Options& o) { o.limits.value_bytes_max = 8 << 20; }),
              Refused("batch_bytes_max"));
  EXPECT_THAT(Validate([](Options& o) { o.limits.batch_operations_max = 0; }),
              Refused("batch_operations_max"));
  EXPECT_THAT(Validate([](Options& o) { o.limits.batch_operations_max = 10001; }),
              Refused("batch_operations_max"));
}

TEST(OptionsTest, ATransactionIsNotBoundedBelowABatch) {
  EXPECT_OK(Validate([](Options& o) {
    o.limits.transaction_operations_max = o.limits.batch_operations_max;
    o.limits.transaction_buffer_bytes = o.limits.batch_bytes_max;
    o.limits.transaction_bytes_max = o.limits.batch_bytes_max;
  }));
  EXPECT_THAT(Validate([](Options& o) { o.limits.transaction_operations_max = 999; }),
              Refused("transaction_operations_max is 999, not 1000 to 1000000"));
  EXPECT_THAT(Validate([](Options& o) { o.limits.transaction_operations_max = 1'000'001; }),
              Refused("transaction_operations_max"));
  EXPECT_THAT(Validate([](Options& o) { o.limits.transaction_buffer_bytes = (4 << 20) - 1; }),
              Refused("transaction_buffer_bytes is 4194303, not 4194304 to 1073741824"));
  EXPECT_THAT(Validate([](Options& o) { o.limits.transaction_bytes_max = (16 << 20) - 1; }),
              Refused("transaction_bytes_max is 16777215, not 16777216 to 1073741824"));
  EXPECT_THAT(Validate([](Options& o) { o.limits.transaction_bytes_max = (1 << 30) + 1; }),
              Refused("transaction_bytes_max"));
}

TEST(OptionsTest, SegmentHoldsTheLargestWrite) {
  // 4 MiB of keys and values, 1,001 record headers of 80 bytes, a frame header, whole pages.
  constexpr uint64_t kSmallest = 4096 + 4276224;
  EXPECT_OK(Validate([](Options& o) { o.segment_bytes = kSmallest; }));
  EXPECT_THAT(Validate([](Options& o) { o.segment_bytes = kSmallest - 4096; }),
              Refused("segment_bytes is 4276224"));
  EXPECT_THAT(Validate([](Options& o) { o.segment_bytes = kSmallest + 1; }),
              Refused("not a multiple of 4096"));
  EXPECT_THAT(Validate([](Options& o) { o.segment_bytes = (1 << 30) + 4096; }),
              Refused("segment_bytes"));
}

TEST(OptionsTest, BoundsOfFramesAndUnflushedBytes) {
  EXPECT_THAT(Validate([](Options& o) { o.frame_bytes_target = 4095; }),
              Refused("frame_bytes_target"));
  EXPECT_THAT(Validate([](Options& o) { o.frame_bytes_target = 4097; }), Refused("multiple"));
  EXPECT_OK(Validate([](Options& o) { o.frame_bytes_target = 4096; }));
  EXPECT_OK(Validate([](Options& o) { o.unflushed_bytes_max = 0; }));
  EXPECT_THAT(Validate([](Options& o) { o.unflushed_bytes_max = (1 << 30) + 1; }),
              Refused("unflushed_bytes_max"));
}

TEST(OptionsTest, BoundsOfFramesInFlight) {
  EXPECT_OK(Validate([](Options& o) { o.frames_in_flight_max = 1; }));
  EXPECT_OK(Validate([](Options& o) { o.frames_in_flight_max = 64; }));
  EXPECT_THAT(Validate([](Options& o) { o.frames_in_flight_max = 0; }),
              Refused("frames_in_flight_max is 0, not 1 to 64"));
  EXPECT_THAT(Validate([](Options& o) { o.frames_in_flight_max = 65; }),
              Refused("frames_in_flight_max"));
}

TEST(OptionsTest, BoundsOfCompaction) {
  EXPECT_OK(Validate([](Options& o) { o.reserve_segments = 0; }));
  EXPECT_OK(Validate([](Options& o) { o.reserve_segments = 64; }));
  EXPECT_THAT(Validate([](Options& o) { o.reserve_segments = 65; }), Refused("reserve_segments"));
  EXPECT_OK(Validate([](Options& o) { o.compaction_dead_share = 0.05; }));
  EXPECT_OK(Validate([](Options& o) { o.compaction_dead_share = 1; }));
  for (const double share : {0.0, 0.049, 1.01, std::nan("")}) {
    EXPECT_THAT(Validate([share](Options& o) { o.compaction_dead_share = share; }),
                Refused("compaction_dead_share"));
  }
  EXPECT_OK(Validate([](Options& o) { o.compaction_step_bytes = 1; }));
  EXPECT_THAT(Validate([](Options& o) { o.compaction_step_bytes = 0; }),
              Refused("compaction_step_bytes"));
}

TEST(OptionsTest, BoundsOfTheValueCache) {
  EXPECT_OK(Validate([](Options& o) { o.value_cache_bytes = 0; }));
  EXPECT_OK(Validate([](Options& o) { o.value_cache_bytes = uint64_t{1} << 40; }));
  EXPECT_THAT(Validate([](Options& o) { o.value_cache_bytes = (uint64_t{1} << 40) + 1; }),
              Refused("value_cache_bytes"));
}

}  // namespace
}  // namespace slipstream::storage
