#include "storage/identity.h"

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/error_reason.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/memory_file_system.h"
#include "storage/options.h"

namespace slipstream::storage {
namespace {

using base::testing::StatusIs;
using ::testing::HasSubstr;

TEST(IdentityTest, DecodesWhatWasEncoded) {
  const std::string bytes = EncodeIdentity({.node_id = 1,
                                            .actor = 2,
                                            .life_count = 3,
                                            .durable_lsn = 4,
                                            .last_hlc = 5,
                                            .accepted_damage = 6,
                                            .flags = kIdentityFlagClean,
                                            .sync_policy = SyncPolicy::kInterval});
  ASSERT_EQ(bytes.size(), kIdentityBytes);
  EXPECT_EQ(bytes.substr(0, 8), "SLIPIDEN");
  ASSERT_OK_AND_ASSIGN(const Identity identity, DecodeIdentity(bytes));
  EXPECT_EQ(identity.node_id, 1u);
  EXPECT_EQ(identity.actor, 2u);
  EXPECT_EQ(identity.accepted_damage, 6u);
  EXPECT_TRUE(identity.clean());
  EXPECT_EQ(identity.sync_policy, SyncPolicy::kInterval);
}

TEST(IdentityTest, EveryFlippedBitIsFound) {
  const std::string good = EncodeIdentity({.node_id = 1, .actor = 2});
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string bytes = good;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
    // A file with another magic is not ours to call damaged.
    const auto code =
        bit < 64 ? absl::StatusCode::kFailedPrecondition : absl::StatusCode::kDataLoss;
    ASSERT_THAT(DecodeIdentity(bytes), StatusIs(code)) << "bit " << bit;
  }
}

TEST(IdentityTest, OtherLengthsAreRefused) {
  const std::string good = EncodeIdentity({.node_id = 1, .actor = 2});
  EXPECT_THAT(DecodeIdentity(""), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(DecodeIdentity(good.substr(0, 100)), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(DecodeIdentity(good + "x"), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(DecodeIdentity("some text that is not ours"),
              StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST(IdentityTest, NewerVersionIsForeign) {
  const absl::StatusOr<Identity> decoded =
      DecodeIdentity(EncodeIdentity({.format_version = kFormatVersion + 1}));
  EXPECT_THAT(decoded, StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("version 2")));
  EXPECT_EQ(base::ReasonOf(decoded.status()), base::kReasonDirectoryForeign);
}

TEST(IdentityTest, ReplacingLeavesTheOldOrTheNewOneWhateverFails) {
  for (uint64_t call = 1; call <= 6; ++call) {
    MemoryFileSystem fs;
    ASSERT_OK(fs.CreateDirectory("/d"));
    ASSERT_OK(WriteIdentity(&fs, "/d", {.life_count = 1}));
    fs.InjectFault({.call = call, .lasting = true});
    ASSERT_FALSE(WriteIdentity(&fs, "/d", {.life_count = 2}).ok());
    fs.ClearFaults();
    for (uint64_t mask = 0; mask < uint64_t{1} << fs.UnsyncedUnitCount(); ++mask) {
      const auto crashed = fs.Clone();
      crashed->CrashKeeping([mask](size_t unit) { return (mask >> unit & 1) != 0; });
      ASSERT_OK(ReadIdentity(crashed.get(), "/d")) << "call " << call << " mask " << mask;
    }
  }
}

}  // namespace
}  // namespace slipstream::storage
