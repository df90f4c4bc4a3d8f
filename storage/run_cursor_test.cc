#include "storage/run_cursor.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "base/key_id.h"
#include "base/random.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/memory_file_system.h"
#include "storage/testing/small_runs.h"

namespace slipstream::storage {
namespace {

using base::testing::StatusIs;
using testing::BuildRun;
using testing::DrawRunContent;
using testing::DrawRunEntry;
using ::testing::HasSubstr;
using testing::NumberedKeyId;
using testing::RunContent;
using testing::TiedKeyId;

const base::KeyRange kAll = base::RangeOf(base::KeyPrefix{});

class RunCursorTest : public ::testing::Test {
 protected:
  void Build(const RunContent& content) { ASSERT_OK_AND_ASSIGN(run_, BuildRun(&fs_, content, 1)); }

  // Expects that `cursor`, which stands on an entry or at the end, goes on as `next` does, up to
  // `last`.
  void ExpectGoesOn(RunCursor& cursor, RunContent::const_iterator next,
                    RunContent::const_iterator end, const base::KeyId& last) {
    for (; next != end && next->first <= last; ++next) {
      ASSERT_TRUE(cursor.valid());
      EXPECT_EQ(cursor.entry(), next->second);
      ASSERT_OK(cursor.Next());
    }
    EXPECT_FALSE(cursor.valid());
    ASSERT_OK(cursor.Next());
    EXPECT_FALSE(cursor.valid());
  }

  uint64_t reads() const { return fs_.call_count(MemoryFileSystem::Operation::kRead); }

  MemoryFileSystem fs_;
  base::Random rng_{1};
  std::shared_ptr<const SortedRun> run_;
};

TEST_F(RunCursorTest, WalksEveryEntryInOrder) {
  for (const uint64_t count : {0, 1, 45, 46, 47, 16 * 46, 16 * 46 + 1, 5000}) {
    const RunContent content = DrawRunContent(rng_, count);
    Build(content);
    RunCursor cursor(*run_, kAll);
    EXPECT_FALSE(cursor.valid());
    ASSERT_OK(cursor.Next());
    ExpectGoesOn(cursor, content.begin(), content.end(), kAll.last);
  }
}

TEST_F(RunCursorTest, WalksExactlyItsRange) {
  const RunContent content = DrawRunContent(rng_, 1000);
  Build(content);
  for (int round = 0; round < 300; ++round) {
    // Ends that are keys, and ends that are not.
    base::KeyRange range{NumberedKeyId(rng_.Below(2000)), NumberedKeyId(rng_.Below(2000))};
    if (range.last < range.first) std::swap(range.first, range.last);
    RunCursor cursor(*run_, range);
    ASSERT_OK(cursor.Next());
    ExpectGoesOn(cursor, content.lower_bound(range.first), content.end(), range.last);
  }
}

TEST_F(RunCursorTest, SeeksForwardsAndBackwardsWithinItsRange) {
  const RunContent content = DrawRunContent(rng_, 1000);
  Build(content);
  const base::KeyRange range = base::RangeOf(base::MakePrefix(NumberedKeyId(0), 1));
  RunCursor cursor(*run_, range);
  for (int round = 0; round < 100; ++round) {
    const base::KeyId key_id = NumberedKeyId(rng_.Below(2000));
    ASSERT_OK(cursor.Seek(key_id));
    ExpectGoesOn(cursor, content.lower_bound(std::max(key_id, range.first)), content.end(),
                 range.last);
  }
}

TEST_F(RunCursorTest, SeeksAmongTies) {
  RunContent content;
  for (int last = 0; last < 240; last += 2) {
    const base::KeyId key_id = TiedKeyId(7, static_cast<uint8_t>(last));
    content[key_id] = DrawRunEntry(rng_, key_id, 1);
  }
  Build(content);
  RunCursor cursor(*run_, kAll);
  for (int last = 0; last < 250; ++last) {
    const base::KeyId key_id = TiedKeyId(7, static_cast<uint8_t>(last));
    ASSERT_OK(cursor.Seek(key_id));
    ExpectGoesOn(cursor, content.lower_bound(key_id), content.end(), kAll.last);
  }
}

TEST_F(RunCursorTest, ReadsAheadInChunksAndShortRangesByThePage) {
  const RunContent content = DrawRunContent(rng_, 160 * kRunEntriesPerPage);
  Build(content);
  uint64_t before = reads();
  RunCursor all(*run_, kAll);
  ASSERT_OK(all.Next());
  ExpectGoesOn(all, content.begin(), content.end(), kAll.last);
  EXPECT_EQ(reads() - before, 10u);
  before = reads();
  const base::KeyId key_id = NumberedKeyId(3);
  RunCursor one(*run_, {key_id, key_id});
  ASSERT_OK(one.Next());
  ASSERT_TRUE(one.valid());
  EXPECT_EQ(reads() - before, 1u);
}

TEST_F(RunCursorTest, DamagedPageIsNamedAndNotPassedOver) {
  const RunContent content = DrawRunContent(rng_, 100);
  Build(content);
  fs_.FlipBit("/data/0000000000000001.run", 2 * kPageBytes + 1000, 3);
  RunCursor cursor(*run_, kAll);
  for (uint64_t i = 0; i < kRunEntriesPerPage; ++i) ASSERT_OK(cursor.Next());
  const auto named = StatusIs(absl::StatusCode::kDataLoss, HasSubstr(".run: page 2: "));
  EXPECT_THAT(cursor.Next(), named);
  EXPECT_FALSE(cursor.valid());
  EXPECT_THAT(cursor.Next(), named);
  EXPECT_OK(cursor.Seek(content.begin()->first));
  EXPECT_TRUE(cursor.valid());
}

TEST_F(RunCursorTest, PagesMustFollowEachOther) {
  RunContent content;
  for (int last = 0; last < 60; ++last) {
    const base::KeyId key_id = TiedKeyId(7, static_cast<uint8_t>(last));
    content[key_id] = DrawRunEntry(rng_, key_id, 1);
  }
  Build(content);
  const char* const path = "/data/0000000000000001.run";
  // The last byte of the second page's first key_id: as great as the one before it.
  std::string file = fs_.Contents(path);
  file[2 * kPageBytes + kRunPageHeaderBytes + base::kKeyIdBytes - 1] = 45;
  testing::ResealRunPage(file, 2);
  fs_.Install(path, file);
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<SortedRun> run,
                       SortedRun::Open(&fs_, testing::kRunDirectory,
                                       {.node_id = testing::kRunNodeId, .run_number = 1}));
  RunCursor cursor(*run, kAll);
  for (uint64_t i = 0; i < kRunEntriesPerPage; ++i) ASSERT_OK(cursor.Next());
  EXPECT_THAT(cursor.Next(),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("page 2: does not follow")));
}

}  // namespace
}  // namespace slipstream::storage
