#include "storage/manifest.h"

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/error_reason.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/ceilings.h"
#include "storage/log_segment.h"
#include "storage/memory_file_system.h"

namespace slipstream::storage {
namespace {

using base::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Segment n ends with LSN 10 n.
SegmentLink LinkOf(uint64_t number) {
  if (number == 0) return {};
  return {.number = number,
          .incarnation = 1000 + number,
          .end_offset = 4096 * number,
          .last_lsn = 10 * number};
}

SegmentGap Gap(uint64_t first, uint64_t last) {
  return {.first_number = first,
          .last_number = last,
          .last_lsn = 10 * last,
          .previous = LinkOf(first - 1)};
}

Manifest Sample() {
  Manifest manifest;
  manifest.header.node_id = 1;
  manifest.header.actor = 2;
  manifest.header.last_hlc = 3;
  manifest.header.last_tx_id = 4;
  manifest.header.last_sequences[0] = 5;
  manifest.header.last_sequences[255] = kSequenceCeiling;
  manifest.gaps = {Gap(1, 2), Gap(4, 4)};
  return manifest;
}

void Drop(Manifest& manifest, uint64_t number, uint64_t previous) {
  ASSERT_OK(manifest.Drop(LinkOf(number), LinkOf(previous)));
}

TEST(ManifestTest, DecodesWhatWasEncoded) {
  const std::string bytes = EncodeManifest(Sample());
  ASSERT_EQ(bytes.size(), kManifestHeaderBytes + 2 * kSegmentGapBytes);
  EXPECT_EQ(bytes.substr(0, 8), "SLIPMANI");
  ASSERT_OK_AND_ASSIGN(const Manifest manifest, DecodeManifest(bytes));
  EXPECT_EQ(manifest.gaps, Sample().gaps);
  EXPECT_EQ(manifest.header.node_id, 1u);
  EXPECT_EQ(manifest.header.actor, 2u);
  EXPECT_EQ(manifest.header.last_hlc, 3u);
  EXPECT_EQ(manifest.header.last_tx_id, 4u);
  EXPECT_EQ(manifest.header.last_sequences, Sample().header.last_sequences);
}

TEST(ManifestTest, EveryFlippedBitAndEveryCutIsFound) {
  const std::string good = EncodeManifest(Sample());
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string bytes = good;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
    const absl::StatusOr<Manifest> decoded = DecodeManifest(bytes);
    ASSERT_THAT(decoded, StatusIs(absl::StatusCode::kDataLoss)) << "bit " << bit;
    ASSERT_EQ(base::ReasonOf(decoded.status()), base::kReasonLogDamaged);
  }
  for (size_t size = 0; size < good.size(); ++size) {
    ASSERT_THAT(DecodeManifest(good.substr(0, size)), StatusIs(absl::StatusCode::kDataLoss));
  }
  EXPECT_THAT(DecodeManifest(good + "x"), StatusIs(absl::StatusCode::kDataLoss));
}

TEST(ManifestTest, NewerVersionIsForeign) {
  Manifest manifest = Sample();
  manifest.header.format_version = kManifestFormatVersion + 1;
  const absl::StatusOr<Manifest> decoded = DecodeManifest(EncodeManifest(manifest));
  EXPECT_THAT(decoded, StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("version 2")));
  EXPECT_EQ(base::ReasonOf(decoded.status()), base::kReasonDirectoryForeign);
}

TEST(ManifestTest, GapsThatNoWriterWritesAreDamage) {
  const auto refused = [](const SegmentGap& gap) {
    Manifest manifest = Sample();
    manifest.gaps.push_back(gap);
    return absl::IsDataLoss(DecodeManifest(EncodeManifest(manifest)).status());
  };
  EXPECT_FALSE(refused(Gap(6, 7)));
  EXPECT_TRUE(refused(Gap(4, 7)));
  EXPECT_TRUE(refused(Gap(7, 6)));
  EXPECT_FALSE(refused({.first_number = 6, .last_number = kSegmentNumberMax}));
  EXPECT_TRUE(refused({.first_number = 6, .last_number = kSegmentNumberMax + 1}));
  EXPECT_TRUE(refused({.first_number = 6, .last_number = 6, .previous = {.number = 6}}));
  EXPECT_TRUE(refused({.first_number = 6, .last_number = 6, .previous = {.end_offset = 100}}));
  EXPECT_TRUE(refused(
      {.first_number = 6, .last_number = 6, .previous = {.end_offset = kSegmentBytesMax + 4096}}));
  EXPECT_TRUE(
      refused({.first_number = 6, .last_number = 6, .last_lsn = 1, .previous = {.last_lsn = 2}}));
  Manifest manifest;
  manifest.header.last_sequences[7] = kSequenceCeiling + 1;
  EXPECT_THAT(DecodeManifest(EncodeManifest(manifest)), StatusIs(absl::StatusCode::kDataLoss));
}

TEST(ManifestTest, GapsGrowAndMergeInAnyOrder) {
  Manifest manifest;
  Drop(manifest, 5, 4);
  Drop(manifest, 2, 1);
  EXPECT_THAT(manifest.gaps, ElementsAre(Gap(2, 2), Gap(5, 5)));
  Drop(manifest, 3, 2);  // Grows upwards.
  EXPECT_THAT(manifest.gaps, ElementsAre(Gap(2, 3), Gap(5, 5)));
  Drop(manifest, 1, 0);  // Downwards, to the first of all.
  EXPECT_THAT(manifest.gaps, ElementsAre(Gap(1, 3), Gap(5, 5)));
  Drop(manifest, 4, 3);  // Closes the gap between gaps.
  EXPECT_THAT(manifest.gaps, ElementsAre(Gap(1, 5)));
}

TEST(ManifestTest, GapsAreNeighboursByWhoFollowedWhomNotByNumber) {
  Manifest manifest;
  Drop(manifest, 3, 2);
  // Segments 4 and 5 were never in use.
  Drop(manifest, 6, 3);
  EXPECT_THAT(manifest.gaps, ElementsAre(Gap(3, 6)));
  // Segment 7 is lost, not dropped.
  Drop(manifest, 8, 7);
  EXPECT_THAT(manifest.gaps, ElementsAre(Gap(3, 6), Gap(8, 8)));
}

TEST(ManifestTest, ReplacingLeavesTheOldOrTheNewOneWhateverFails) {
  Manifest manifest = Sample();
  for (uint64_t call = 1; call <= 6; ++call) {
    MemoryFileSystem fs;
    ASSERT_OK(fs.CreateDirectory("/d"));
    ASSERT_OK(WriteManifest(&fs, "/d", Sample()));
    fs.InjectFault({.call = call, .lasting = true});
    ASSERT_FALSE(WriteManifest(&fs, "/d", Manifest{}).ok());
    fs.ClearFaults();
    const size_t unit_count = fs.UnsyncedUnitCount();
    ASSERT_LE(unit_count, 12u);
    for (uint64_t mask = 0; mask < uint64_t{1} << unit_count; ++mask) {
      const auto crashed = fs.Clone();
      crashed->CrashKeeping([mask](size_t unit) { return (mask >> unit & 1) != 0; });
      ASSERT_OK_AND_ASSIGN(const Manifest found, ReadManifest(crashed.get(), "/d"));
      ASSERT_TRUE(found.gaps.empty() || found.gaps == Sample().gaps)
          << "call " << call << " mask " << mask;
    }
  }
}

TEST(ManifestTest, FailedReplacingGivesItsSpaceBack) {
  MemoryFileSystem fs;
  ASSERT_OK(fs.CreateDirectory("/d"));
  ASSERT_OK(WriteManifest(&fs, "/d", Sample()));
  const uint64_t used_bytes = fs.used_bytes();
  fs.set_capacity_bytes(used_bytes + 100);
  EXPECT_THAT(WriteManifest(&fs, "/d", Sample()), StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_EQ(fs.used_bytes(), used_bytes);
}

TEST(ManifestTest, NoManifestIsNotFound) {
  MemoryFileSystem fs;
  ASSERT_OK(fs.CreateDirectory("/d"));
  EXPECT_THAT(ReadManifest(&fs, "/d"), StatusIs(absl::StatusCode::kNotFound));
}

}  // namespace
}  // namespace slipstream::storage
