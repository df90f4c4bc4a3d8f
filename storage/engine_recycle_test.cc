// Recycled segments: the file of one that compaction dropped becomes the next one, unless somebody
// else has it; old bytes are never taken for new, nor for damage. Crashes at every step of it:
// engine_crash_test.cc.

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/random.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/aligned_buffer.h"
#include "storage/engine.h"
#include "storage/engine_stats.h"
#include "storage/file_system.h"
#include "storage/frame.h"
#include "storage/log_segment.h"
#include "storage/memory_file_system.h"
#include "storage/options.h"
#include "storage/segment.h"
#include "storage/snapshot_source.h"
#include "storage/testing/small_store.h"

namespace slipstream::storage {
namespace {

using ::testing::IsEmpty;
using testing::kDirectory;
using testing::Noon;
using testing::SmallOptions;

constexpr int kKeyCount = 40;

class EngineRecycleTest : public ::testing::Test {
 protected:
  void SetUp() override {
    options_.compression = Compression::kNone;  // So that writes fill segments.
    ASSERT_OK(Open());
  }

  absl::Status Open() {
    engine_.reset();
    auto opened = Engine::Open(&fs_, kDirectory, options_, &rng_, nullptr);
    if (opened.ok()) engine_ = *std::move(opened);
    return opened.status();
  }

  void Put(const std::string& key) {
    const std::string value(200, static_cast<char>('a' + rng_.Below(26)));
    ASSERT_OK(engine_->Write({{.key = key, .value = value}}, Atomicity::kEach, Noon()));
    latest_[key] = value;
  }
  void Sync() { ASSERT_OK(engine_->Flush(Engine::FlushMode::kSync)); }

  // Overwrites a few keys again and again, maintaining after each put, until `until`.
  template <typename Condition>
  void ChurnUntil(Condition until) {
    for (int i = 0; !until(); ++i) {
      ASSERT_LT(i, 20'000);
      Put(absl::StrCat("key-", rng_.Below(kKeyCount)));
      ASSERT_OK(engine_->Maintain());
    }
  }
  void ChurnUntilRecycled(uint64_t count) {
    ChurnUntil([&] { return engine_->stats().recycled_segment_count >= count; });
  }

  void CheckReads() {
    for (const auto& [key, value] : latest_) {
      const absl::StatusOr<ReadResult> read = engine_->Get(key, Noon());
      ASSERT_OK(read) << key;
      EXPECT_EQ(read->value, value) << key;
    }
  }

  // Paths of the segments, ascending.
  std::vector<std::string> SegmentPaths() {
    std::vector<std::string> paths;
    const auto names = fs_.ListDirectory(kDirectory);
    EXPECT_OK(names);
    for (const std::string& name : *names) {
      if (ParseSegmentFileName(name).has_value()) paths.push_back(JoinPath(kDirectory, name));
    }
    return paths;
  }
  bool IsMarked(const std::string& path) {
    return ReadRecycledMark(fs_.Contents(path)).has_value();
  }
  bool IsInUse(const std::string& path) {
    return DecodeSegmentHeader(fs_.Contents(path).substr(0, kPageBytes)).ok();
  }
  // The segment in use that was activated last.
  std::string LastInUse() {
    std::string last;
    for (const std::string& path : SegmentPaths()) {
      if (IsInUse(path)) last = path;
    }
    return last;
  }

  MemoryFileSystem fs_;
  base::Random rng_{11};
  Options options_ = SmallOptions();
  std::unique_ptr<Engine> engine_;
  std::map<std::string, std::string> latest_;
};

TEST_F(EngineRecycleTest, MostDroppedSegmentsBecomeTheNextOnes) {
  ChurnUntilRecycled(20);
  const EngineStats stats = engine_->stats();
  EXPECT_GT(2 * stats.recycled_segment_count, stats.compacted_segment_count);
  CheckReads();
  Sync();
  ASSERT_OK(Open());
  CheckReads();
}

// With nothing current in it, it is dropped all the same.
TEST_F(EngineRecycleTest, WhatCouldNotBeReadIsNotUsedAgain) {
  for (const bool is_damaged : {false, true}) {
    SCOPED_TRACE(is_damaged);
    ChurnUntilRecycled(engine_->stats().recycled_segment_count + 1);
    // Settled, so that one segment alone is to be dropped: that which is dead then.
    for (bool more = true; more;) {
      ASSERT_OK_AND_ASSIGN(more, engine_->Maintain());
    }
    const uint64_t compacted = engine_->stats().compacted_segment_count;
    const uint64_t recycled = engine_->stats().recycled_segment_count;
    const std::vector<std::string> before = SegmentPaths();
    for (int i = 0; i < kKeyCount; ++i) Put(absl::StrCat("key-", i));
    Sync();
    if (is_damaged) {
      for (const std::string& path : before) {
        if (IsInUse(path) && path != LastInUse()) fs_.FlipBit(path, kPageBytes + 20, 1);
      }
    }
    ChurnUntil([&] { return engine_->stats().compacted_segment_count > compacted; });
    EXPECT_EQ(engine_->stats().recycled_segment_count, recycled + (is_damaged ? 0 : 1));
  }
  CheckReads();
}

TEST_F(EngineRecycleTest, AStartGoesOnInARecycledSegmentAndReportsNoTornTail) {
  ChurnUntilRecycled(5);
  ChurnUntil([&] { return IsMarked(LastInUse()); });
  ASSERT_OK(engine_->Close());
  const std::string last = LastInUse();
  ASSERT_TRUE(IsMarked(last));
  ASSERT_OK(Open());
  EXPECT_FALSE(engine_->recovery_report().tail_cut);
  EXPECT_THAT(engine_->recovery_report().damaged, IsEmpty());
  const std::string before = fs_.Contents(last);
  Put("one-more");
  Sync();
  EXPECT_NE(fs_.Contents(last), before);
  CheckReads();
  ASSERT_OK(Open());
  CheckReads();
}

TEST_F(EngineRecycleTest, WhatASnapshotHasLinkedIsLeftAlone) {
  ChurnUntilRecycled(2);
  Sync();
  ASSERT_OK_AND_ASSIGN(SnapshotSource source, engine_->PinSnapshot());
  ASSERT_OK(fs_.CreateDirectory("/links"));
  std::map<std::string, std::string> linked;  // Path to contents.
  for (const CutSegment& segment : source.log.segments) {
    if (segment.is_open) continue;
    const std::string name = SegmentFileName(segment.number);
    const std::string path = JoinPath("/links", name);
    ASSERT_OK(fs_.Link(JoinPath(kDirectory, name), path));
    linked[path] = fs_.Contents(path);
  }
  ASSERT_FALSE(linked.empty());
  source = SnapshotSource{};
  const uint64_t compacted = engine_->stats().compacted_segment_count;
  ChurnUntilRecycled(engine_->stats().recycled_segment_count + 20);
  ASSERT_GT(engine_->stats().compacted_segment_count, compacted + linked.size());
  for (const auto& [path, contents] : linked) EXPECT_EQ(fs_.Contents(path), contents) << path;
}

TEST_F(EngineRecycleTest, WhatAReaderHoldsIsLeftAlone) {
  ChurnUntilRecycled(2);
  Sync();
  ASSERT_OK_AND_ASSIGN(const SnapshotSource source, engine_->PinSnapshot());
  std::map<const CutSegment*, std::string> held;
  const auto contents_of = [](const CutSegment& segment) {
    AlignedBuffer buffer(segment.bytes);
    EXPECT_OK(segment.file->Read(0, segment.bytes, buffer.data()));
    return std::string(buffer.view());
  };
  for (const CutSegment& segment : source.log.segments) {
    if (!segment.is_open) held[&segment] = contents_of(segment);
  }
  ASSERT_FALSE(held.empty());
  ChurnUntilRecycled(engine_->stats().recycled_segment_count + 20);
  for (const auto& [segment, contents] : held) EXPECT_EQ(contents_of(*segment), contents);
}

TEST_F(EngineRecycleTest, ADamagedHeaderOfARecycledSegmentInUseIsDamage) {
  ChurnUntilRecycled(5);
  ChurnUntil([&] { return IsMarked(LastInUse()); });
  Put("last");
  Sync();
  const std::string last = LastInUse();
  engine_.reset();
  // One flipped bit, and a header of zeros, which the page of a prepared segment has.
  fs_.FlipBit(last, 40, 3);
  ASSERT_OK(Open());
  ASSERT_EQ(engine_->recovery_report().damaged.size(), 1u);
  EXPECT_EQ(engine_->recovery_report().damaged[0].lost_count(), 0u);
  CheckReads();
  engine_.reset();
  std::string bytes = fs_.Contents(last);
  std::fill_n(bytes.begin(), kRecycledMarkOffset, '\0');
  fs_.Install(last, bytes);
  ASSERT_OK(Open());
  ASSERT_EQ(engine_->recovery_report().damaged.size(), 1u);
  CheckReads();
}

TEST_F(EngineRecycleTest, APreparedOneServesTheNextLife) {
  const auto has_prepared = [&] {
    const std::vector<std::string> paths = SegmentPaths();
    return IsMarked(paths.back()) && !IsInUse(paths.back());
  };
  ChurnUntilRecycled(5);
  ChurnUntil(has_prepared);
  const std::string prepared = SegmentPaths().back();
  ASSERT_OK(engine_->Close());
  ASSERT_OK(Open());
  EXPECT_THAT(engine_->recovery_report().damaged, IsEmpty());
  ChurnUntil([&] { return !fs_.Contents(prepared).empty() && IsInUse(prepared); });
  CheckReads();
  Sync();
  ASSERT_OK(Open());
  CheckReads();
}

TEST_F(EngineRecycleTest, APreparedOneMayRot) {
  ChurnUntilRecycled(5);
  ChurnUntil([&] { return IsMarked(SegmentPaths().back()) && !IsInUse(SegmentPaths().back()); });
  const std::string prepared = SegmentPaths().back();
  Sync();
  engine_.reset();
  for (uint64_t offset = 0; offset < kRecycledMarkOffset + kRecycledMarkBytes; ++offset) {
    if (offset == kSegmentHeaderBytes) offset = kRecycledMarkOffset;
    SCOPED_TRACE(offset);
    const std::unique_ptr<MemoryFileSystem> fs = fs_.Clone();
    fs->FlipBit(prepared, offset, static_cast<int>(offset % 8));
    const auto engine = Engine::Open(fs.get(), kDirectory, options_, &rng_, nullptr);
    ASSERT_OK(engine);
    ASSERT_THAT((*engine)->recovery_report().damaged, IsEmpty());
    ASSERT_FALSE((*engine)->recovery_report().tail_cut);
  }
}

// Else a client could make a start fail: it may guess the number of the segment that its bytes end
// up in.
TEST_F(EngineRecycleTest, OldBytesThatLookLikeAFrameOfTheNewSegmentAreNotTaken) {
  ChurnUntilRecycled(5);
  ChurnUntil([&] { return IsMarked(SegmentPaths().back()) && !IsInUse(SegmentPaths().back()); });
  const std::string prepared = SegmentPaths().back();
  Sync();
  engine_.reset();
  std::string bytes = fs_.Contents(prepared);
  const std::string name = prepared.substr(kDirectory.size() + 1);
  FrameHeader forged{.incarnation = 12345,
                     .segment_number = *ParseSegmentFileName(name),
                     .frame_number = 1,
                     .first_lsn = 1};
  forged.header_crc32c = FrameHeaderCrc(forged);
  for (size_t page = kPageBytes; page < bytes.size(); page += kPageBytes) {
    bytes.replace(page, sizeof(forged), reinterpret_cast<const char*>(&forged), sizeof(forged));
  }
  fs_.Install(prepared, bytes);
  ASSERT_OK(Open());
  EXPECT_THAT(engine_->recovery_report().damaged, IsEmpty());
  CheckReads();
}

TEST_F(EngineRecycleTest, AFullDiskGoesOnWithTheFilesThatItHas) {
  ChurnUntilRecycled(5);
  fs_.set_capacity_bytes(fs_.used_bytes());
  ChurnUntilRecycled(engine_->stats().recycled_segment_count + 20);
  CheckReads();
  Sync();
  ASSERT_OK(Open());
  CheckReads();
}

}  // namespace
}  // namespace slipstream::storage
