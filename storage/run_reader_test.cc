#include "storage/run_reader.h"

#include <cstdint>
#include <iterator>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/error_reason.h"
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
using testing::kRunDirectory;
using testing::kRunNodeId;
using testing::NumberedKeyId;
using testing::ResealRunPage;
using testing::RunContent;
using testing::TiedKeyId;
using Operation = MemoryFileSystem::Operation;

const std::string kPath = "/data/0000000000000001.run";

class RunReaderTest : public ::testing::Test {
 protected:
  absl::StatusOr<std::unique_ptr<SortedRun>> Open() {
    return SortedRun::Open(&fs_, kRunDirectory, {.node_id = kRunNodeId, .run_number = 1});
  }

  void ExpectHolds(const SortedRun& run, const RunContent& content) {
    for (const auto& [key_id, entry] : content) {
      EXPECT_TRUE(run.MayContain(key_id));
      ASSERT_OK_AND_ASSIGN(const absl::optional<RunEntry> found, run.Find(key_id));
      EXPECT_EQ(found, entry);
    }
  }

  MemoryFileSystem fs_;
  base::Random rng_{1};
};

TEST_F(RunReaderTest, FindsWhatIsThereAndNothingElseAtEveryBoundary) {
  const uint64_t page = kRunEntriesPerPage;
  uint64_t number = 0;
  for (const uint64_t count :
       {uint64_t{0}, uint64_t{1}, uint64_t{2}, page - 1, page, page + 1, 2 * page, 16 * page,
        16 * page + 1, 64 * page, 64 * page + 1, 512 * page, 512 * page + 1}) {
    const RunContent content = DrawRunContent(rng_, count);
    ASSERT_OK_AND_ASSIGN(const std::shared_ptr<const SortedRun> run,
                         BuildRun(&fs_, content, ++number));
    EXPECT_EQ(run->entry_count(), count);
    EXPECT_EQ(run->page_count(), (count + page - 1) / page);
    ExpectHolds(*run, content);
    for (uint64_t i = 0; i < 200; ++i) {
      ASSERT_OK_AND_ASSIGN(const absl::optional<RunEntry> found,
                           run->Find(NumberedKeyId(1'000'000 + i)));
      EXPECT_EQ(found, absl::nullopt);
    }
  }
}

TEST_F(RunReaderTest, CountsTombstonesAndDamage) {
  const RunContent content = DrawRunContent(rng_, 200);
  uint64_t tombstones = 0;
  uint64_t damaged = 0;
  for (const auto& [key_id, entry] : content) {
    damaged += entry.located.damaged;
    tombstones += entry.located.entry.tombstone && !entry.located.damaged;
  }
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<const SortedRun> run, BuildRun(&fs_, content, 1));
  EXPECT_EQ(run->tombstone_count(), tombstones);
  EXPECT_EQ(run->damaged_count(), damaged);
  EXPECT_GT(tombstones, 0u);
  EXPECT_GT(damaged, 0u);
}

TEST_F(RunReaderTest, PresentKeyCostsOneReadAndAbsentKeySeldomAny) {
  const RunContent content = DrawRunContent(rng_, 20'000);
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<const SortedRun> run, BuildRun(&fs_, content, 1));
  uint64_t before = fs_.call_count(Operation::kRead);
  ExpectHolds(*run, content);
  // A first key of a page looks at the page before as well where the filter is wrong.
  EXPECT_LE(fs_.call_count(Operation::kRead) - before, content.size() + 20);
  before = fs_.call_count(Operation::kRead);
  uint64_t may_contain = 0;
  for (uint64_t i = 0; i < 20'000; ++i) {
    const base::KeyId key_id = NumberedKeyId(1'000'000 + i);
    may_contain += run->MayContain(key_id);
    ASSERT_OK(run->Find(key_id));
  }
  EXPECT_EQ(fs_.call_count(Operation::kRead) - before, may_contain);
  EXPECT_LT(may_contain, 300u);  // 1.5 %
}

TEST_F(RunReaderTest, MemoryIsAtMostWhatTheDesignAllows) {
  const uint64_t count = 100'000;
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<const SortedRun> run,
                       BuildRun(&fs_, DrawRunContent(rng_, count), 1));
  EXPECT_LE(static_cast<double>(run->memory_bytes()) / count, 1.6 + 8192.0 / count);
}

TEST_F(RunReaderTest, TiesOfTheFenceAreFoundOnWhicheverPage) {
  // 0: the tie starts with the run; else within the first page. Three pages share the fence.
  for (const uint64_t before : {0, 1, 45, 46, 47}) {
    for (const uint64_t tied : {1, 46, 47, 150}) {
      RunContent content;
      const auto add = [&](RunFence fence, uint64_t last) {
        const base::KeyId key_id = TiedKeyId(fence, static_cast<uint8_t>(last));
        content[key_id] = DrawRunEntry(rng_, key_id, 1);
      };
      for (uint64_t i = 0; i < before; ++i) add(100, i);
      for (uint64_t i = 0; i < tied; ++i) add(200, i);
      for (uint64_t i = 0; i < 60; ++i) add(300 + i, 0);
      ASSERT_OK_AND_ASSIGN(const std::shared_ptr<const SortedRun> run,
                           BuildRun(&fs_, content, before * 1000 + tied + 1));
      ExpectHolds(*run, content);
      for (const RunFence fence : {99, 100, 150, 200, 250, 300, 359, 400}) {
        const base::KeyId absent = TiedKeyId(fence, 255);
        ASSERT_OK_AND_ASSIGN(const absl::optional<RunEntry> found, run->Find(absent));
        EXPECT_EQ(found, absl::nullopt);
      }
    }
  }
}

TEST_F(RunReaderTest, EndsOfTheKeySpaceAreKeysLikeOthers) {
  RunContent content;
  base::KeyId greatest;
  greatest.bytes.fill(0xff);
  for (const base::KeyId& key_id : {base::KeyId{}, greatest}) {
    content[key_id] = DrawRunEntry(rng_, key_id, 1);
  }
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<const SortedRun> run, BuildRun(&fs_, content, 1));
  ExpectHolds(*run, content);
}

TEST_F(RunReaderTest, KeysThatAreNotUniformAreFound) {
  // Interpolation is of no use here: a thousand keys at one end, one at the other.
  RunContent content;
  for (uint64_t i = 0; i < 5000; ++i) {
    const base::KeyId key_id = TiedKeyId(i * i, 1);
    content[key_id] = DrawRunEntry(rng_, key_id, 1);
  }
  const base::KeyId far = TiedKeyId(UINT64_MAX, 1);
  content[far] = DrawRunEntry(rng_, far, 1);
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<const SortedRun> run, BuildRun(&fs_, content, 1));
  ExpectHolds(*run, content);
}

TEST_F(RunReaderTest, DamagedPageIsNamedAndOthersAreServed) {
  const RunContent content = DrawRunContent(rng_, 100);
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<const SortedRun> run, BuildRun(&fs_, content, 1));
  fs_.FlipBit(kPath, 2 * kPageBytes + 1000, 3);
  uint64_t index = 0;
  for (const auto& [key_id, entry] : content) {
    const absl::StatusOr<absl::optional<RunEntry>> found = run->Find(key_id);
    if (index++ / kRunEntriesPerPage == 1) {
      EXPECT_THAT(found, StatusIs(absl::StatusCode::kDataLoss,
                                  HasSubstr(absl::StrCat(kPath, ": page 2: "))));
    } else {
      ASSERT_OK(found);
      EXPECT_EQ(*found, entry);
    }
  }
}

TEST_F(RunReaderTest, EveryFlippedBitIsFoundOrHarmless) {
  // One page of each kind, every bit of the header's fields and one in each byte elsewhere.
  const RunContent content = DrawRunContent(rng_, kRunEntriesPerPage);
  ASSERT_OK(BuildRun(&fs_, content, 1));
  const uint64_t file_bytes = fs_.Contents(kPath).size();
  ASSERT_EQ(file_bytes, 4 * kPageBytes);
  const auto expect_found_or_harmless = [&](uint64_t offset, int bit) {
    fs_.FlipBit(kPath, offset, bit);
    const absl::StatusOr<std::unique_ptr<SortedRun>> run = Open();
    if (offset < kPageBytes || offset >= 2 * kPageBytes) {
      EXPECT_THAT(run, StatusIs(absl::StatusCode::kDataLoss, HasSubstr(kPath)))
          << offset << " bit " << bit;
    } else {
      ASSERT_OK(run);
      EXPECT_THAT((*run)->Find(content.begin()->first), StatusIs(absl::StatusCode::kDataLoss))
          << offset << " bit " << bit;
    }
    fs_.FlipBit(kPath, offset, bit);
  };
  for (uint64_t offset = 0; offset < kRunHeaderBytes; ++offset) {
    for (int bit = 0; bit < 8; ++bit) expect_found_or_harmless(offset, bit);
  }
  for (uint64_t offset = kRunHeaderBytes; offset < file_bytes; ++offset) {
    expect_found_or_harmless(offset, static_cast<int>(offset % 8));
  }
}

TEST_F(RunReaderTest, FencesMustAscendAndBeThoseOfTheirPages) {
  const RunContent content = DrawRunContent(rng_, 100);
  ASSERT_OK(BuildRun(&fs_, content, 1));
  const std::string good = fs_.Contents(kPath);
  const uint64_t second_fence = 4 * kPageBytes + kRunFenceBytes;
  // The fence's highest byte.
  std::string file = good;
  file[second_fence + 7] = 0;
  ResealRunPage(file, 4);
  fs_.Install(kPath, file);
  EXPECT_THAT(Open(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("not in order")));
  // Its lowest.
  file = good;
  file[second_fence] = static_cast<char>(file[second_fence] ^ 1);
  ResealRunPage(file, 4);
  fs_.Install(kPath, file);
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<SortedRun> run, Open());
  EXPECT_THAT(run->Find(std::next(content.begin(), 60)->first),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("page 2: starts with")));
}

TEST_F(RunReaderTest, FileOfAnotherLengthIsRefused) {
  ASSERT_OK(BuildRun(&fs_, DrawRunContent(rng_, 100), 1));
  const std::string whole = fs_.Contents(kPath);
  for (const uint64_t bytes : {size_t{0}, size_t{1}, kPageBytes - 1, kPageBytes, whole.size() - 1,
                               whole.size() - kPageBytes}) {
    MemoryFileSystem fs;
    fs.Install(kPath, whole.substr(0, bytes));
    EXPECT_THAT(SortedRun::Open(&fs, kRunDirectory, {.node_id = kRunNodeId, .run_number = 1}),
                StatusIs(absl::StatusCode::kDataLoss, HasSubstr(kPath)))
        << bytes;
  }
  MemoryFileSystem fs;
  fs.Install(kPath, whole + "x");
  EXPECT_THAT(SortedRun::Open(&fs, kRunDirectory, {.node_id = kRunNodeId, .run_number = 1}),
              StatusIs(absl::StatusCode::kDataLoss));
}

TEST_F(RunReaderTest, RunsOfOthersAreRefused) {
  ASSERT_OK(BuildRun(&fs_, DrawRunContent(rng_, 10), 1));
  const absl::Status other_node =
      SortedRun::Open(&fs_, kRunDirectory, {.node_id = kRunNodeId + 1, .run_number = 1}).status();
  EXPECT_THAT(other_node, StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_EQ(base::ReasonOf(other_node), base::kReasonDirectoryForeign);
  fs_.Install("/data/0000000000000002.run", fs_.Contents(kPath));
  EXPECT_THAT(SortedRun::Open(&fs_, kRunDirectory, {.node_id = kRunNodeId, .run_number = 2}),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("holds run 1, not 2")));
  EXPECT_THAT(SortedRun::Open(&fs_, kRunDirectory, {.node_id = kRunNodeId, .run_number = 3}),
              StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(RunReaderTest, DeviceThatFailsIsNoDamage) {
  const RunContent content = DrawRunContent(rng_, 10);
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<const SortedRun> run, BuildRun(&fs_, content, 1));
  fs_.InjectFault({.operation = Operation::kRead});
  EXPECT_THAT(run->Find(content.begin()->first), StatusIs(absl::StatusCode::kUnavailable));
  for (uint64_t call = 1; call <= 3; ++call) {
    fs_.InjectFault({.operation = Operation::kRead, .call = call});
    EXPECT_THAT(Open(), StatusIs(absl::StatusCode::kUnavailable)) << call;
    fs_.ClearFaults();
  }
  EXPECT_OK(Open());
}

}  // namespace
}  // namespace slipstream::storage
