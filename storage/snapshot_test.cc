// Snapshots from the outside: what is in one is what was there when it was pinned, whatever happens
// meanwhile; none that is finished is wrong, whatever fails; and what is wrong with one is found.

#include "storage/snapshot.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/coding.h"
#include "base/crc32c.h"
#include "base/digest.h"
#include "base/error_reason.h"
#include "base/random.h"
#include "base/testing/status_matchers.h"
#include "base/version.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/engine.h"
#include "storage/entry.h"
#include "storage/file_system.h"
#include "storage/frame.h"
#include "storage/memory_file_system.h"
#include "storage/options.h"
#include "storage/record.h"
#include "storage/segment.h"
#include "storage/snapshot_file.h"
#include "storage/snapshot_reader.h"
#include "storage/snapshot_restore.h"
#include "storage/snapshot_source.h"
#include "storage/testing/chain_hasher.h"
#include "storage/testing/small_store.h"

namespace slipstream::storage {
namespace {

using base::testing::StatusIs;
using testing::AllEntries;
using testing::ChainHasher;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::kDirectory;
using testing::Noon;
using testing::RootOfEntries;
using testing::SmallOptions;
using Operation = MemoryFileSystem::Operation;

constexpr absl::string_view kBackup = "/backup";

std::string Value(int number) {
  return absl::StrCat("value ", number, std::string(300, static_cast<char>('a' + number % 26)));
}

// All files of `directory` with their bytes.
std::map<std::string, std::string> FilesOf(MemoryFileSystem& fs, absl::string_view directory) {
  std::map<std::string, std::string> files;
  const auto names = fs.ListDirectory(directory);
  if (!names.ok()) return files;
  for (const std::string& name : *names) files[name] = fs.Contents(JoinPath(directory, name));
  return files;
}

// Entries without the length of their records, which compression changes.
std::vector<Entry> WithoutLengths(std::vector<Entry> entries) {
  for (Entry& entry : entries) entry.record_bytes = 0;
  return entries;
}

class SnapshotTest : public ::testing::Test {
 protected:
  void SetUp() override {
    options_.compression = Compression::kNone;  // So that writes fill segments.
    ASSERT_OK_AND_ASSIGN(engine_, Engine::Open(&fs_, kDirectory, options_, &rng_, nullptr));
  }

  void Put(absl::string_view key, absl::string_view value) {
    ASSERT_OK(engine_->Write({{.key = key, .value = value}}, Atomicity::kEach, Noon()));
  }
  void Delete(absl::string_view key) {
    ASSERT_OK(
        engine_->Write({{.kind = Mutation::Kind::kDelete, .key = key}}, Atomicity::kEach, Noon()));
  }
  // Several segments of keys, some of them replaced, some deleted.
  void Fill() {
    for (int i = 0; i < 120; ++i) Put(absl::StrCat("key", i % 90), Value(i));
    for (int i = 0; i < 10; ++i) Delete(absl::StrCat("key", i));
    ASSERT_OK(engine_->Write({{.key = "short-lived", .value = "v", .expires_at_ms = 1}},
                             Atomicity::kEach, Noon()));
  }
  void MaintainToTheEnd() {
    for (bool more = true; more;) {
      ASSERT_OK_AND_ASSIGN(more, engine_->Maintain());
    }
  }
  absl::StatusOr<SavedSnapshot> SaveFrom(const SnapshotSource& source) {
    ChainHasher hasher;
    return SaveSnapshot(&fs_, source, kBackup, {.node_name = "n1", .now = Noon()}, hasher);
  }
  absl::StatusOr<SavedSnapshot> Save() {
    const absl::StatusOr<SnapshotSource> source = engine_->PinSnapshot();
    if (!source.ok()) return source.status();
    return SaveFrom(*source);
  }
  static absl::StatusOr<SnapshotFile> Verify(FileSystem* fs, absl::string_view path) {
    ChainHasher hasher;
    return VerifySnapshot(fs, path, SnapshotReadOptions{}, hasher);
  }
  absl::StatusOr<RestoredSnapshot> Restore(absl::string_view path, absl::string_view directory) {
    ChainHasher hasher;
    return RestoreSnapshot(&fs_, path, directory, &rng_, Noon(), hasher);
  }

  MemoryFileSystem fs_;
  base::Random rng_{7};
  Options options_ = SmallOptions();
  std::unique_ptr<Engine> engine_;
};

TEST_F(SnapshotTest, SaysWhatItIs) {
  Fill();
  const std::vector<Entry> entries = AllEntries(*engine_);
  ASSERT_OK_AND_ASSIGN(const SavedSnapshot saved, Save());
  const SnapshotHeader& header = saved.file.header;
  EXPECT_EQ(header.root, RootOfEntries(entries));
  EXPECT_EQ(saved.path, absl::StrCat("/backup/", SnapshotDirectoryName(header.root)));
  EXPECT_EQ(header.key_count, 81u);
  EXPECT_EQ(header.tombstone_count, 10u);
  EXPECT_EQ(header.node_id, engine_->node_id());
  EXPECT_EQ(header.actor, static_cast<uint64_t>(engine_->actor()));
  EXPECT_EQ(header.last_lsn, 131u);
  EXPECT_EQ(header.last_hlc, engine_->last_hlc());
  EXPECT_EQ(header.created_at_ms, 1'700'000'000'000u);
  EXPECT_EQ(header.damaged_count, 0u);
  EXPECT_EQ(saved.file.node_name, "n1");
  EXPECT_FALSE(saved.was_there);
  EXPECT_OK(Verify(&fs_, saved.path));
}

TEST_F(SnapshotTest, AnEmptyStoreHasOneToo) {
  ASSERT_OK_AND_ASSIGN(const SavedSnapshot saved, Save());
  EXPECT_EQ(saved.file.header.key_count, 0u);
  EXPECT_OK(Verify(&fs_, saved.path));
}

TEST_F(SnapshotTest, HoldsTheMomentAtWhichItWasPinnedWhateverFollows) {
  Fill();
  const std::vector<Entry> entries = AllEntries(*engine_);
  ASSERT_OK_AND_ASSIGN(const SnapshotSource source, engine_->PinSnapshot());
  // The open segment goes on, all else is replaced, compacted and removed.
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 90; ++i) Put(absl::StrCat("key", i), Value(1000 + i));
    MaintainToTheEnd();
  }
  ASSERT_GT(engine_->stats().compacted_segment_count, 3u);
  ASSERT_OK_AND_ASSIGN(const SavedSnapshot saved, SaveFrom(source));
  EXPECT_EQ(saved.file.header.root, RootOfEntries(entries));
  EXPECT_OK(Verify(&fs_, saved.path));
}

TEST_F(SnapshotTest, TakesACompactedStore) {
  for (int round = 0; round < 4; ++round) {
    Fill();
    MaintainToTheEnd();
  }
  ASSERT_GT(engine_->stats().compacted_segment_count, 0u);
  const std::vector<Entry> entries = AllEntries(*engine_);
  ASSERT_OK_AND_ASSIGN(const SavedSnapshot saved, Save());
  EXPECT_EQ(saved.file.header.root, RootOfEntries(entries));
  EXPECT_OK(Verify(&fs_, saved.path));
}

TEST_F(SnapshotTest, LinksWhatIsFullAndCopiesTheRest) {
  Fill();
  const uint64_t used_bytes = fs_.used_bytes();
  ASSERT_OK(Save());
  // The open segment and small files.
  EXPECT_LT(fs_.used_bytes() - used_bytes, 2 * options_.segment_bytes);
  EXPECT_GE(fs_.call_count(Operation::kLink), 2u);
}

TEST_F(SnapshotTest, CopiesWhereThereAreNoLinks) {
  Fill();
  fs_.RefuseLinks();
  const std::vector<Entry> entries = AllEntries(*engine_);
  ASSERT_OK_AND_ASSIGN(const SavedSnapshot saved, Save());
  EXPECT_EQ(saved.file.header.root, RootOfEntries(entries));
  EXPECT_OK(Verify(&fs_, saved.path));
}

TEST_F(SnapshotTest, OneWithTheSameRootIsLeftAsItIs) {
  Fill();
  ASSERT_OK_AND_ASSIGN(const SavedSnapshot first, Save());
  const auto files = FilesOf(fs_, first.path);
  ASSERT_OK_AND_ASSIGN(const SavedSnapshot second, Save());
  EXPECT_TRUE(second.was_there);
  EXPECT_EQ(second.path, first.path);
  EXPECT_EQ(FilesOf(fs_, first.path), files);
}

TEST_F(SnapshotTest, NothingElseIsOverwritten) {
  Fill();
  ASSERT_OK_AND_ASSIGN(const SavedSnapshot saved, Save());
  fs_.FlipBit(JoinPath(saved.path, kSnapshotFileName), 20, 0);
  const auto files = FilesOf(fs_, saved.path);
  EXPECT_THAT(Save(), StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr(saved.path)));
  EXPECT_EQ(FilesOf(fs_, saved.path), files);
}

TEST_F(SnapshotTest, MemoryForItsEntriesIsBounded) {
  Fill();
  ASSERT_OK_AND_ASSIGN(const SavedSnapshot saved, Save());
  const uint64_t reads = fs_.call_count(Operation::kRead);
  ChainHasher hasher;
  ASSERT_OK(ReadSnapshot(&fs_, saved.path, {}, hasher));
  const uint64_t reads_of_one = fs_.call_count(Operation::kRead) - reads;
  std::map<std::string, int> used;
  ASSERT_OK_AND_ASSIGN(const SnapshotContent content,
                       ReadSnapshot(&fs_, saved.path, {.entry_bytes_max = 1000}, hasher,
                                    [&used](const RecordView& record) {
                                      ++used[std::string(record.key)];
                                      return absl::OkStatus();
                                    }));
  EXPECT_EQ(content.root, saved.file.header.root);
  EXPECT_EQ(content.key_count, 81u);
  EXPECT_EQ(content.tombstone_count, 10u);
  EXPECT_GT(fs_.call_count(Operation::kRead) - reads, 4 * reads_of_one);
  EXPECT_EQ(used.size(), 91u);
  for (const auto& [key, count] : used) EXPECT_EQ(count, 1) << key;
}

// After a crash at any call, with any fate of what was not synced, a directory that looks finished
// is right; all others say that they are not.
TEST_F(SnapshotTest, ACrashLeavesNoneThatLooksFinishedAndIsNot) {
  Fill();
  ASSERT_OK_AND_ASSIGN(const SnapshotSource source, engine_->PinSnapshot());
  const uint64_t before = fs_.call_count();
  const std::unique_ptr<MemoryFileSystem> start = fs_.Clone();
  ASSERT_OK_AND_ASSIGN(const SavedSnapshot whole, SaveFrom(source));
  const uint64_t call_count = fs_.call_count() - before;
  ASSERT_GT(call_count, 20u);
  int finished_count = 0;
  int partial_count = 0;
  for (uint64_t call = 1; call <= call_count; ++call) {
    const std::unique_ptr<MemoryFileSystem> disk = start->Clone();
    disk->InjectFault({.call = call, .lasting = true});
    ChainHasher hasher;
    // Its segments are read from the first disk, which is the same.
    SaveSnapshot(disk.get(), source, kBackup, {.node_name = "n1", .now = Noon()}, hasher)
        .status()
        .IgnoreError();
    disk->ClearFaults();
    for (uint64_t seed = 1; seed <= 4; ++seed) {
      const std::unique_ptr<MemoryFileSystem> crashed = disk->Clone();
      base::Random rng(seed);
      crashed->Crash(&rng);
      if (crashed->ListDirectory(whole.path).ok()) {
        ++finished_count;
        ASSERT_OK(Verify(crashed.get(), whole.path)) << "call " << call << " seed " << seed;
      } else {
        ++partial_count;
      }
    }
  }
  EXPECT_GT(partial_count, 0);
}

TEST_F(SnapshotTest, AnUnfinishedOneIsReplacedByTheNextTry) {
  Fill();
  ASSERT_OK_AND_ASSIGN(const SnapshotSource source, engine_->PinSnapshot());
  // A lasting fault also keeps it from tidying up, as a crash does.
  fs_.InjectFault({.operation = Operation::kLink, .lasting = true});
  fs_.InjectFault({.operation = Operation::kRemoveDirectory, .lasting = true});
  ASSERT_FALSE(SaveFrom(source).ok());
  fs_.ClearFaults();
  const std::string partial = absl::StrCat(
      "/backup/slip-", absl::Hex(engine_->node_id(), absl::kZeroPad16), "-131.partial");
  ASSERT_OK(fs_.ListDirectory(partial));
  EXPECT_THAT(Verify(&fs_, partial),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("never finished")));
  ASSERT_OK(SaveFrom(source));
  EXPECT_THAT(fs_.ListDirectory(partial), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(SnapshotTest, WhatFailsLeavesNothingBehind) {
  Fill();
  fs_.InjectFault({.operation = Operation::kLink, .call = 2});
  const uint64_t used_bytes = fs_.used_bytes();
  ASSERT_FALSE(Save().ok());
  EXPECT_EQ(fs_.used_bytes(), used_bytes);
}

TEST_F(SnapshotTest, NewDamageOfTheLogIsNotSaved) {
  Fill();
  fs_.FlipBit(JoinPath(kDirectory, SegmentFileName(1)), kPageBytes + 200, 0);
  const absl::StatusOr<SavedSnapshot> saved = Save();
  EXPECT_THAT(saved, StatusIs(absl::StatusCode::kDataLoss, HasSubstr("no snapshot was made")));
  EXPECT_EQ(base::ReasonOf(saved.status()), base::kReasonSnapshotDamaged);
}

TEST_F(SnapshotTest, DamageThatWasAcceptedIsSavedWithTheRest) {
  Fill();
  ASSERT_OK(engine_->Close());
  engine_.reset();
  fs_.FlipBit(JoinPath(kDirectory, SegmentFileName(1)), kPageBytes + 200, 0);
  options_.on_damage = OnDamage::kServeRest;
  ASSERT_OK_AND_ASSIGN(engine_, Engine::Open(&fs_, kDirectory, options_, &rng_, nullptr));
  const std::vector<Entry> entries = AllEntries(*engine_);
  ASSERT_OK_AND_ASSIGN(const SavedSnapshot saved, Save());
  EXPECT_GT(saved.file.header.lost_record_count, 0u);
  EXPECT_EQ(saved.file.header.root, RootOfEntries(entries));
  EXPECT_OK(Verify(&fs_, saved.path));
}

class SnapshotOnDiskTest : public SnapshotTest {
 protected:
  void SetUp() override {
    SnapshotTest::SetUp();
    Fill();
    ASSERT_OK_AND_ASSIGN(const SavedSnapshot saved, Save());
    path_ = saved.path;
    entries_ = AllEntries(*engine_);
    actor_ = engine_->actor();
    ASSERT_OK(engine_->Close());
    engine_.reset();
  }

  std::string path_;
  std::vector<Entry> entries_;
  base::ActorId actor_{0};
};

TEST_F(SnapshotOnDiskTest, VerifyingChangesNothing) {
  const auto files = FilesOf(fs_, path_);
  ASSERT_OK(Verify(&fs_, path_));
  EXPECT_EQ(FilesOf(fs_, path_), files);
}

TEST_F(SnapshotOnDiskTest, AFlippedBitInAValueIsFound) {
  const std::string segment = JoinPath(path_, SegmentFileName(1));
  const size_t offset = fs_.Contents(segment).find("value 3");
  ASSERT_NE(offset, std::string::npos);
  fs_.FlipBit(segment, offset + 20, 2);
  const absl::StatusOr<SnapshotFile> verified = Verify(&fs_, path_);
  EXPECT_THAT(verified, StatusIs(absl::StatusCode::kDataLoss, HasSubstr("segment 1")));
  EXPECT_EQ(base::ReasonOf(verified.status()), base::kReasonSnapshotDamaged);
}

// Every checksum holds, but the value is not the one that the root tells of.
TEST_F(SnapshotTest, AValueUnderAnotherDigestIsFound) {
  Put("key", "the value");
  ASSERT_OK_AND_ASSIGN(const SavedSnapshot saved, Save());
  const std::string path = JoinPath(saved.path, SegmentFileName(1));
  std::string bytes = fs_.Contents(path);
  auto frame = base::LoadLittle<FrameHeader>(bytes.data() + kPageBytes);
  char* const payload = bytes.data() + kPageBytes + kFrameHeaderBytes;
  ASSERT_OK_AND_ASSIGN(RecordView record,
                       DecodeRecord(absl::string_view(payload, frame.payload_bytes)));
  record.value = "The value";
  record.header.crc32c = RecordCrc(record.header, record.key, record.value);
  const std::string forged = absl::StrCat(
      absl::string_view(reinterpret_cast<const char*>(&record.header), kRecordHeaderBytes),
      record.key, record.value);
  ASSERT_EQ(forged.size(), frame.payload_bytes);
  frame.payload_crc32c = base::Crc32c(forged);
  frame.header_crc32c = FrameHeaderCrc(frame);
  forged.copy(payload, forged.size());
  std::memcpy(bytes.data() + kPageBytes, &frame, sizeof(frame));
  fs_.Install(path, bytes);
  EXPECT_THAT(Verify(&fs_, saved.path),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("than its digest tells")));
}

// Where the log holds frames; in its unused end a bit says nothing.
TEST_F(SnapshotOnDiskTest, FlippedBitsEverywhereAreFound) {
  ASSERT_OK_AND_ASSIGN(const std::vector<std::string> names, fs_.ListDirectory(path_));
  for (const std::string& name : names) {
    const std::string path = JoinPath(path_, name);
    const std::string bytes = fs_.Contents(path);
    const bool is_segment = ParseSegmentFileName(name).has_value();
    for (size_t offset = 0; offset < bytes.size(); offset += is_segment ? 97 : 1) {
      if (is_segment && bytes[offset] == '\0') continue;
      const std::unique_ptr<MemoryFileSystem> disk = fs_.Clone();
      disk->FlipBit(path, offset, 5);
      ASSERT_FALSE(Verify(disk.get(), path_).ok()) << name << " offset " << offset;
    }
  }
}

TEST_F(SnapshotOnDiskTest, FilesThatAreMissingCutOrOfNobodyAreNamed) {
  ASSERT_OK_AND_ASSIGN(const SnapshotFile file, Verify(&fs_, path_));
  for (const SnapshotMember& member : file.members) {
    const std::string path = JoinPath(path_, member.name_view());
    const std::string bytes = fs_.Contents(path);
    ASSERT_OK(fs_.Remove(path));
    EXPECT_THAT(Verify(&fs_, path_), StatusIs(absl::StatusCode::kDataLoss,
                                              HasSubstr(absl::StrCat(path, " is missing"))));
    fs_.Install(path, bytes.substr(0, bytes.size() - 1));
    EXPECT_THAT(Verify(&fs_, path_), StatusIs(absl::StatusCode::kDataLoss, HasSubstr(path)));
    fs_.Install(path, bytes);
  }
  fs_.Install(JoinPath(path_, "index"), "x");
  EXPECT_THAT(Verify(&fs_, path_), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("/index")));
}

TEST_F(SnapshotOnDiskTest, AnotherNameIsFound) {
  ASSERT_OK(fs_.RenameDirectory(path_, "/backup/slip-0000000000000000"));
  EXPECT_THAT(Verify(&fs_, "/backup/slip-0000000000000000"),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("its name must be slip-")));
}

TEST_F(SnapshotOnDiskTest, WhatIsNoSnapshotIsNotFound) {
  EXPECT_THAT(Verify(&fs_, "/nowhere"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(Verify(&fs_, kDirectory), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(SnapshotOnDiskTest, RestoresEveryEntryUnderANewNodeAndActor) {
  ASSERT_OK_AND_ASSIGN(const RestoredSnapshot restored, Restore(path_, "/new"));
  EXPECT_EQ(restored.file.header.root, RootOfEntries(entries_));
  ASSERT_OK_AND_ASSIGN(engine_, Engine::Open(&fs_, "/new", Options{}, &rng_, nullptr));
  EXPECT_EQ(engine_->node_id(), restored.node_id);
  EXPECT_EQ(engine_->actor(), restored.actor);
  EXPECT_NE(engine_->node_id(), restored.file.header.node_id);
  EXPECT_NE(engine_->actor(), actor_);
  EXPECT_EQ(WithoutLengths(AllEntries(*engine_)), WithoutLengths(entries_));
  EXPECT_EQ(engine_->Get("key20", Noon()).value().value, Value(110));
  EXPECT_FALSE(engine_->Get("key5", Noon()).value().found);
  EXPECT_THAT(fs_.ListDirectory("/new.partial"), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(SnapshotOnDiskTest, RestoresIntoAnEmptyDirectoryButIntoNoOther) {
  ASSERT_OK(fs_.CreateDirectory("/empty"));
  ASSERT_OK(Restore(path_, "/empty"));
  EXPECT_THAT(Restore(path_, "/empty"),
              StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("/empty is not empty")));
}

TEST_F(SnapshotOnDiskTest, ADamagedOneIsNotRestored) {
  fs_.FlipBit(JoinPath(path_, SegmentFileName(2)), kPageBytes + 200, 0);
  EXPECT_THAT(Restore(path_, "/new"), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(FilesOf(fs_, "/new"), IsEmpty());
  EXPECT_THAT(fs_.ListDirectory("/new"), StatusIs(absl::StatusCode::kNotFound));
}

// Nobody should, but then no version may be given twice.
TEST_F(SnapshotOnDiskTest, OpenedAsItIsItBecomesANewActor) {
  ASSERT_OK_AND_ASSIGN(engine_, Engine::Open(&fs_, path_, options_, &rng_, nullptr));
  EXPECT_NE(engine_->actor(), actor_);
  EXPECT_EQ(AllEntries(*engine_), entries_);
}

}  // namespace
}  // namespace slipstream::storage
