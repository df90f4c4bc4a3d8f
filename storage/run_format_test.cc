#include "storage/run_format.h"

#include <cstring>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/error_reason.h"
#include "base/random.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/testing/small_runs.h"

namespace slipstream::storage {
namespace {

using base::testing::StatusIs;
using testing::DrawRunEntry;
using ::testing::HasSubstr;
using testing::TiedKeyId;

RunHeader HeaderOf(uint64_t entry_count) {
  const RunLayout layout = RunLayoutOf(entry_count);
  return {.node_id = 5,
          .run_number = 7,
          .entry_count = entry_count,
          .page_count = layout.page_count,
          .fences_offset = layout.fences_offset,
          .filter_offset = layout.filter_offset,
          .file_bytes = layout.file_bytes};
}

const RunPageHeader kPageHeader{.entry_count = 3, .page_number = 2, .run_number_low = 7};

std::string Page() {
  base::Random rng(1);
  std::string page(kPageBytes, '\0');
  for (uint8_t i = 0; i < 3; ++i) {
    PackRunEntry(DrawRunEntry(rng, TiedKeyId(9, 10 * (i + 1)), 1), i, page.data());
  }
  SealRunPage(kPageHeader, page.data());
  return page;
}

// Makes the checksum of an edited page right again.
std::string Resealed(std::string page) {
  RunPageHeader header;
  std::memcpy(&header, page.data(), sizeof(header));
  SealRunPage(header, page.data());
  return page;
}

void FlipBit(std::string& bytes, size_t bit) {
  bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
}

TEST(RunFormatTest, LaysPartsOutInWholePages) {
  const RunLayout none = RunLayoutOf(0);
  EXPECT_EQ(none.page_count, 0u);
  EXPECT_EQ(none.file_bytes, kPageBytes);
  const RunLayout full = RunLayoutOf(46);
  EXPECT_EQ(full.page_count, 1u);
  EXPECT_EQ(full.fences_offset, 2 * kPageBytes);
  EXPECT_EQ(full.filter_offset, 3 * kPageBytes);
  EXPECT_EQ(full.file_bytes, 4 * kPageBytes);
  EXPECT_EQ(RunLayoutOf(47).page_count, 2u);
  // One page holds 64 blocks of the filter and 512 fences.
  EXPECT_EQ(RunLayoutOf(46 * 64).filter_bytes, kPageBytes);
  EXPECT_EQ(RunLayoutOf(46 * 64 + 1).filter_bytes, 2 * kPageBytes);
  EXPECT_EQ(RunLayoutOf(46 * 512).fences_bytes, kPageBytes);
  EXPECT_EQ(RunLayoutOf(46 * 512 + 1).fences_bytes, 2 * kPageBytes);
}

TEST(RunFormatTest, EveryFlippedBitOfAHeaderIsFound) {
  const std::string good = EncodeRunHeader(HeaderOf(100));
  ASSERT_OK(DecodeRunHeader(good));
  for (size_t bit = 0; bit < kPageBytes * 8; ++bit) {
    std::string page = good;
    FlipBit(page, bit);
    EXPECT_THAT(DecodeRunHeader(page), StatusIs(absl::StatusCode::kDataLoss)) << "bit " << bit;
  }
}

TEST(RunFormatTest, HeaderWhoseNumbersDoNotFitIsRefused) {
  const auto refused = StatusIs(absl::StatusCode::kDataLoss, HasSubstr("not one layout"));
  for (uint64_t RunHeader::*field : {&RunHeader::page_count, &RunHeader::fences_offset,
                                     &RunHeader::filter_offset, &RunHeader::file_bytes}) {
    RunHeader header = HeaderOf(100);
    ++(header.*field);
    EXPECT_THAT(DecodeRunHeader(EncodeRunHeader(header)), refused);
  }
  RunHeader header = HeaderOf(100);
  header.entry_bytes = 96;
  EXPECT_THAT(DecodeRunHeader(EncodeRunHeader(header)), StatusIs(absl::StatusCode::kDataLoss));
}

TEST(RunFormatTest, EntryCountAtTheBoundAndBeyond) {
  RunHeader header = HeaderOf(kRunEntriesMax);
  EXPECT_EQ(header.page_count, kRunPagesMax);
  EXPECT_OK(DecodeRunHeader(EncodeRunHeader(header)));
  header.entry_count = kRunEntriesMax + 1;
  EXPECT_THAT(DecodeRunHeader(EncodeRunHeader(header)),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("more than")));
}

TEST(RunFormatTest, NewerVersionIsForeign) {
  RunHeader header = HeaderOf(100);
  header.format_version = kRunFormatVersion + 1;
  const absl::Status status = DecodeRunHeader(EncodeRunHeader(header)).status();
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_EQ(base::ReasonOf(status), base::kReasonDirectoryForeign);
}

TEST(RunFormatTest, PageGivesBackItsEntries) {
  const std::string page = Page();
  ASSERT_OK_AND_ASSIGN(const RunPageView view, DecodeRunPage(page, kPageHeader));
  ASSERT_EQ(view.entry_count(), 3u);
  base::Random rng(1);
  for (uint8_t i = 0; i < 3; ++i) {
    EXPECT_EQ(view.entry(i), DrawRunEntry(rng, TiedKeyId(9, 10 * (i + 1)), 1));
    EXPECT_EQ(view.key_id(i), TiedKeyId(9, 10 * (i + 1)));
  }
  EXPECT_EQ(view.LowerBound(TiedKeyId(9, 9)), 0u);
  EXPECT_EQ(view.LowerBound(TiedKeyId(9, 10)), 0u);
  EXPECT_EQ(view.LowerBound(TiedKeyId(9, 11)), 1u);
  EXPECT_EQ(view.LowerBound(TiedKeyId(9, 30)), 2u);
  EXPECT_EQ(view.LowerBound(TiedKeyId(9, 31)), 3u);
}

TEST(RunFormatTest, EveryFlippedBitOfAPageIsFound) {
  const std::string good = Page();
  for (size_t bit = 0; bit < kPageBytes * 8; ++bit) {
    std::string page = good;
    FlipBit(page, bit);
    EXPECT_THAT(DecodeRunPage(page, kPageHeader), StatusIs(absl::StatusCode::kDataLoss))
        << "bit " << bit;
  }
}

TEST(RunFormatTest, PageThatStandsElsewhereIsRefused) {
  const std::string page = Page();
  RunPageHeader other = kPageHeader;
  other.page_number = 3;
  EXPECT_THAT(DecodeRunPage(page, other), StatusIs(absl::StatusCode::kDataLoss));
  other = kPageHeader;
  other.run_number_low = 8;
  EXPECT_THAT(DecodeRunPage(page, other), StatusIs(absl::StatusCode::kDataLoss));
  other = kPageHeader;
  other.entry_count = 2;
  EXPECT_THAT(DecodeRunPage(page, other), StatusIs(absl::StatusCode::kDataLoss));
}

TEST(RunFormatTest, EntriesMustAscendAndHaveKnownFlags) {
  std::string page = Page();
  PackRunEntry(RunEntry{.located = {.entry = {.key_id = TiedKeyId(9, 20)}}}, 2, page.data());
  EXPECT_THAT(DecodeRunPage(Resealed(page), kPageHeader),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("entry 2 is not after")));
  page = Page();
  page[kRunPageHeaderBytes + kRunEntryBytes + offsetof(PackedRunEntry, flags)] = 8;
  EXPECT_THAT(DecodeRunPage(Resealed(page), kPageHeader),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("entry 1 with flags 0x00000008")));
}

TEST(RunFormatTest, MoreEntriesThanAPageHoldsAreRefused) {
  const std::string page(kPageBytes, '\0');
  RunPageHeader header = kPageHeader;
  header.entry_count = kRunEntriesPerPage + 1;
  std::string sealed = page;
  SealRunPage(header, sealed.data());
  EXPECT_THAT(DecodeRunPage(sealed, header), StatusIs(absl::StatusCode::kDataLoss));
}

TEST(RunFormatTest, NamesAreTheNumberInOneSpelling) {
  EXPECT_EQ(RunFileName(0xab), "00000000000000ab.run");
  EXPECT_EQ(ParseRunFileName("00000000000000ab.run"), 0xabu);
  for (const char* name : {"0000000000000000.run", "00000000000000AB.run", "00000000000000ab.log",
                           "ab.run", "00000000000000ab.run.tmp", "+0000000000000ab.run"}) {
    EXPECT_EQ(ParseRunFileName(name), absl::nullopt) << name;
  }
}

}  // namespace
}  // namespace slipstream::storage
