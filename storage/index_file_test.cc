#include "storage/index_file.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/coding.h"
#include "base/crc32c.h"
#include "base/key_id.h"
#include "base/random.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/file_system.h"
#include "storage/memory_file_system.h"
#include "storage/run_merge_cursor.h"

namespace slipstream::storage {
namespace {

using base::testing::StatusIs;
using ::testing::HasSubstr;
using Operation = MemoryFileSystem::Operation;

constexpr absl::string_view kDirectory = "/d";
constexpr absl::string_view kPath = "/d/index";
constexpr absl::string_view kTemporaryPath = "/d/index.tmp";
constexpr size_t kShardsOffset = kIndexHeaderBytes;
constexpr size_t kRunsOffset = kShardsOffset + base::kShardCount * sizeof(IndexShard);

Index DrawIndex(uint64_t seed, size_t run_count = 3, size_t segment_count = 2) {
  base::Random rng(seed);
  Index index{.node_id = rng.Next(),
              .actor = rng.Next(),
              .last_hlc = rng.Next(),
              .last_tx_id = rng.Next(),
              .next_run_number = rng.Next(),
              .durable_lsn = rng.Next()};
  for (IndexShard& shard : index.shards) {
    shard = {.segment_number = static_cast<uint32_t>(rng.Next()),
             .offset = static_cast<uint32_t>(rng.Next()),
             .last_sequence = rng.Next()};
  }
  for (size_t i = 0; i < run_count; ++i) index.run_numbers.push_back(rng.Next());
  for (size_t i = 0; i < segment_count; ++i) {
    index.segments.push_back({.number = static_cast<uint32_t>(rng.Next()),
                              .flags = static_cast<uint32_t>(rng.Below(8)),
                              .dead_bytes = rng.Next(),
                              .record_bytes = rng.Next()});
  }
  return index;
}

// Some shards have nothing saved, the others up to four bytes.
std::string DerivedOf(uint8_t shard) { return std::string(shard % 5, static_cast<char>(shard)); }

absl::Status Ok() { return absl::OkStatus(); }

Lsn NoLsn() { return 0; }

absl::Status Write(FileSystem* fs, const Index& index) {
  return WriteIndex(
      fs, kDirectory, index, DerivedOf, [&index] { return index.durable_lsn; }, Ok);
}

std::unique_ptr<MemoryFileSystem> MakeDisk() {
  auto fs = std::make_unique<MemoryFileSystem>();
  EXPECT_OK(fs->CreateDirectory(kDirectory));
  return fs;
}

// The bytes of a file with `index`.
std::string Encode(const Index& index) {
  const std::unique_ptr<MemoryFileSystem> fs = MakeDisk();
  EXPECT_OK(Write(fs.get(), index));
  return fs->Contents(kPath);
}

// Makes the checksums of an edited file right.
std::string Reseal(std::string file) {
  const auto crc_of = [&file](size_t from, size_t end) {
    return base::Crc32c(absl::string_view(file).substr(from, end - from));
  };
  base::StoreLittle<uint32_t>(crc_of(kIndexHeaderBytes, file.size()),
                              file.data() + offsetof(IndexHeader, body_crc32c));
  base::StoreLittle<uint32_t>(crc_of(offsetof(IndexHeader, format_version), kIndexHeaderBytes),
                              file.data() + offsetof(IndexHeader, crc32c));
  return file;
}

std::string WithNumber(std::string file, size_t offset, uint32_t number) {
  base::StoreLittle<uint32_t>(number, file.data() + offset);
  return Reseal(std::move(file));
}

TEST(IndexFileTest, ReadsWhatWasWritten) {
  for (const auto& [run_count, segment_count] :
       {std::pair<size_t, size_t>{0, 0}, {1, 0}, {0, 1}, {3, 2}, {kRunsMax, 10'000}}) {
    const std::unique_ptr<MemoryFileSystem> fs = MakeDisk();
    const Index index = DrawIndex(1, run_count, segment_count);
    ASSERT_OK(Write(fs.get(), index));
    ASSERT_OK_AND_ASSIGN(const LoadedIndex loaded, ReadIndex(fs.get(), kDirectory));
    EXPECT_EQ(loaded.index, index);
    for (int shard = 0; shard < base::kShardCount; ++shard) {
      EXPECT_EQ(loaded.derived[shard], DerivedOf(static_cast<uint8_t>(shard)));
    }
  }
}

TEST(IndexFileTest, WhatIsSavedMayBeLongerThanOneWrite) {
  const std::unique_ptr<MemoryFileSystem> fs = MakeDisk();
  const auto derive = [](uint8_t shard) {
    return base::Random(shard).Bytes(shard % 100 == 3 ? 3'000'001 : shard);
  };
  ASSERT_OK(WriteIndex(fs.get(), kDirectory, DrawIndex(1), derive, NoLsn, Ok));
  ASSERT_OK_AND_ASSIGN(const LoadedIndex loaded, ReadIndex(fs.get(), kDirectory));
  for (int shard = 0; shard < base::kShardCount; ++shard) {
    ASSERT_TRUE(loaded.derived[shard] == derive(static_cast<uint8_t>(shard))) << shard;
  }
}

TEST(IndexFileTest, SaysBetweenWhichPositionsItsShardsAre) {
  Index index = DrawIndex(1);
  for (IndexShard& shard : index.shards) shard = {.segment_number = 5, .offset = 100};
  index.shards[3] = {.segment_number = 4, .offset = 900};
  index.shards[250] = {.segment_number = 5, .offset = 101};
  EXPECT_EQ(index.first_position(), (Location{.segment_number = 4, .offset = 900}));
  EXPECT_EQ(index.last_position(), (Location{.segment_number = 5, .offset = 101}));
}

TEST(IndexFileTest, ADirectoryWithoutOneSaysSo) {
  EXPECT_THAT(ReadIndex(MakeDisk().get(), kDirectory), StatusIs(absl::StatusCode::kNotFound));
}

TEST(IndexFileTest, EveryFlippedBitIsFound) {
  std::string file = Encode(DrawIndex(1));
  ASSERT_OK(DecodeIndex(file));
  for (size_t offset = 0; offset < file.size(); ++offset) {
    for (int bit = 0; bit < 8; ++bit) {
      file[offset] = static_cast<char>(file[offset] ^ 1 << bit);
      ASSERT_THAT(DecodeIndex(file), StatusIs(absl::StatusCode::kDataLoss)) << offset;
      file[offset] = static_cast<char>(file[offset] ^ 1 << bit);
    }
  }
}

TEST(IndexFileTest, EveryOtherLengthIsFound) {
  const std::string file = Encode(DrawIndex(1));
  for (size_t bytes = 0; bytes < file.size(); ++bytes) {
    ASSERT_THAT(DecodeIndex(file.substr(0, bytes)), StatusIs(absl::StatusCode::kDataLoss)) << bytes;
    if (bytes < kIndexHeaderBytes) continue;
    ASSERT_THAT(DecodeIndex(Reseal(file.substr(0, bytes))), StatusIs(absl::StatusCode::kDataLoss))
        << bytes;
  }
  EXPECT_THAT(DecodeIndex(file + '\0'), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(DecodeIndex(Reseal(file + '\0')), StatusIs(absl::StatusCode::kDataLoss));
  // Also where the header agrees.
  for (size_t bytes = kIndexHeaderBytes; bytes < file.size() + 9; ++bytes) {
    if (bytes == file.size()) continue;
    std::string other = file;
    other.resize(bytes);
    other = WithNumber(other, offsetof(IndexHeader, file_bytes), static_cast<uint32_t>(bytes));
    ASSERT_THAT(DecodeIndex(other), StatusIs(absl::StatusCode::kDataLoss)) << bytes;
  }
}

TEST(IndexFileTest, CountsThatDoNotFitAreFoundThoughTheChecksumsAreRight) {
  const std::string file = Encode(DrawIndex(1));
  ASSERT_OK(DecodeIndex(Reseal(file)));
  for (const uint32_t count : {0u, 2u, 4u, static_cast<uint32_t>(kRunsMax),
                               static_cast<uint32_t>(kRunsMax + 1), 0xffff'ffffu}) {
    EXPECT_THAT(DecodeIndex(WithNumber(file, offsetof(IndexHeader, run_count), count)),
                StatusIs(absl::StatusCode::kDataLoss))
        << count;
  }
  for (const uint32_t count : {0u, 1u, 3u, 1000u, 0x1000'0002u, 0xffff'ffffu}) {
    EXPECT_THAT(DecodeIndex(WithNumber(file, offsetof(IndexHeader, segment_count), count)),
                StatusIs(absl::StatusCode::kDataLoss))
        << count;
  }
  size_t offset = kRunsOffset + 3 * sizeof(uint64_t) + 2 * sizeof(IndexSegment);
  for (int shard = 0; shard < base::kShardCount; ++shard) {
    const auto bytes = static_cast<uint32_t>(DerivedOf(static_cast<uint8_t>(shard)).size());
    for (const uint32_t wrong : {bytes + 1, bytes - 1, 0x8000'0000u}) {
      ASSERT_THAT(DecodeIndex(WithNumber(file, offset, wrong)),
                  StatusIs(absl::StatusCode::kDataLoss))
          << shard << " " << wrong;
    }
    offset += sizeof(uint32_t) + bytes;
  }
  ASSERT_EQ(offset, file.size());
}

TEST(IndexFileTest, MoreRunsThanCanBeReadAtOnceAreRefused) {
  EXPECT_THAT(DecodeIndex(Encode(DrawIndex(1, kRunsMax + 1))),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("65 runs")));
}

TEST(IndexFileTest, AnotherFormatVersionIsNotRead) {
  const std::string file = Encode(DrawIndex(1));
  EXPECT_THAT(DecodeIndex(WithNumber(file, offsetof(IndexHeader, format_version), 2)),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("version 2")));
}

TEST(IndexFileTest, ReservedBytesAreNotRead) {
  const std::string file = Encode(DrawIndex(1));
  EXPECT_OK(DecodeIndex(WithNumber(file, offsetof(IndexHeader, reserved), 7)));
}

TEST(IndexFileTest, IsWholeButNotInForceWhenTheLastStepIsNear) {
  const std::unique_ptr<MemoryFileSystem> fs = MakeDisk();
  const Index old_index = DrawIndex(1);
  const Index new_index = DrawIndex(2);
  ASSERT_OK(Write(fs.get(), old_index));
  int call_count = 0;
  ASSERT_OK(WriteIndex(
      fs.get(), kDirectory, new_index, DerivedOf, [&] { return new_index.durable_lsn; },
      [&] {
        ++call_count;
        EXPECT_EQ(ReadIndex(fs.get(), kDirectory)->index, old_index);
        EXPECT_EQ(DecodeIndex(fs->Contents(kTemporaryPath))->index, new_index);
        // Only the new name is not on the disk yet.
        EXPECT_EQ(fs->UnsyncedUnitCount(), 1u);
        return absl::OkStatus();
      }));
  EXPECT_EQ(call_count, 1);
  EXPECT_EQ(fs->UnsyncedUnitCount(), 0u);
  EXPECT_EQ(ReadIndex(fs.get(), kDirectory)->index, new_index);
}

TEST(IndexFileTest, TheOldOneStaysIfTheLastStepIsForbidden) {
  const std::unique_ptr<MemoryFileSystem> fs = MakeDisk();
  const auto forbid = [] { return absl::AbortedError("no"); };
  EXPECT_THAT(WriteIndex(fs.get(), kDirectory, DrawIndex(1), DerivedOf, NoLsn, forbid),
              StatusIs(absl::StatusCode::kAborted));
  EXPECT_THAT(ReadIndex(fs.get(), kDirectory), StatusIs(absl::StatusCode::kNotFound));
  ASSERT_OK(Write(fs.get(), DrawIndex(1)));
  EXPECT_THAT(WriteIndex(fs.get(), kDirectory, DrawIndex(2), DerivedOf, NoLsn, forbid),
              StatusIs(absl::StatusCode::kAborted));
  EXPECT_EQ(ReadIndex(fs.get(), kDirectory)->index, DrawIndex(1));
  // What it left is no hindrance.
  ASSERT_OK(Write(fs.get(), DrawIndex(3)));
  EXPECT_EQ(ReadIndex(fs.get(), kDirectory)->index, DrawIndex(3));
}

// Fails every call, once or for good, and expects the old file or the new one.
TEST(IndexFileTest, EveryCallMayFail) {
  for (const bool lasting : {false, true}) {
    for (uint64_t call = 1;; ++call) {
      SCOPED_TRACE(absl::StrCat("call ", call, " lasting ", lasting));
      const std::unique_ptr<MemoryFileSystem> fs = MakeDisk();
      ASSERT_OK(Write(fs.get(), DrawIndex(1)));
      const uint64_t renames_before = fs->call_count(Operation::kRename);
      fs->InjectFault({.call = call, .lasting = lasting});
      const absl::Status written = Write(fs.get(), DrawIndex(2));
      fs->ClearFaults();
      ASSERT_OK_AND_ASSIGN(const LoadedIndex loaded, ReadIndex(fs.get(), kDirectory));
      const bool renamed = fs->call_count(Operation::kRename) > renames_before;
      if (!renamed) EXPECT_EQ(loaded.index, DrawIndex(1));
      if (written.ok()) {
        EXPECT_EQ(loaded.index, DrawIndex(2));
        EXPECT_GT(call, 6u);
        break;
      }
      EXPECT_TRUE(loaded.index == DrawIndex(1) || loaded.index == DrawIndex(2));
    }
  }
}

TEST(IndexFileTest, ACrashAtEveryCallLeavesTheOldOrTheNewOne) {
  bool done = false;
  for (uint64_t call = 1; !done; ++call) {
    const std::unique_ptr<MemoryFileSystem> fs = MakeDisk();
    ASSERT_OK(Write(fs.get(), DrawIndex(1)));
    fs->InjectFault({.call = call, .lasting = true});
    done = Write(fs.get(), DrawIndex(2)).ok();
    base::Random power(call);
    for (int mixture = 0; mixture < 200; ++mixture) {
      SCOPED_TRACE(absl::StrCat("call ", call, " mixture ", mixture));
      const std::unique_ptr<MemoryFileSystem> crashed = fs->Clone();
      if (mixture == 0) {
        crashed->CrashKeeping([](size_t) { return false; });
      } else if (mixture == 1) {
        crashed->CrashKeeping([](size_t) { return true; });
      } else {
        crashed->Crash(&power);
      }
      ASSERT_OK_AND_ASSIGN(const LoadedIndex loaded, ReadIndex(crashed.get(), kDirectory));
      ASSERT_TRUE(loaded.index == DrawIndex(2) || (!done && loaded.index == DrawIndex(1)));
    }
  }
}

}  // namespace
}  // namespace slipstream::storage
