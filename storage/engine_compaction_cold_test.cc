// Compaction of records whose keys are not in memory: it must cost few reads of the runs, and be
// right whatever happens between its search and its copying.

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "base/testing/status_matchers.h"
#include "gtest/gtest.h"
#include "storage/engine.h"
#include "storage/entry.h"
#include "storage/file_system.h"
#include "storage/memory_file_system.h"
#include "storage/options.h"
#include "storage/testing/small_store.h"

namespace slipstream::storage {
namespace {

using testing::CheckEntriesAgainstLog;
using testing::ColdOptions;
using testing::kDirectory;
using testing::Noon;

// Counts the reads of runs, and their bytes, until it is told to start anew.
class RunReadCounter : public FileSystem {
 public:
  struct Reads {
    uint64_t count = 0;
    uint64_t bytes = 0;
  };

  explicit RunReadCounter(MemoryFileSystem* fs) : fs_(fs) {}

  Reads Take() { return std::exchange(reads_, {}); }

  absl::StatusOr<std::unique_ptr<File>> Open(absl::string_view path, OpenMode mode) override {
    return Count(path, fs_->Open(path, mode));
  }
  absl::StatusOr<std::unique_ptr<File>> OpenDirect(absl::string_view path, OpenMode mode) override {
    return Count(path, fs_->OpenDirect(path, mode));
  }
  absl::Status CreateDirectory(absl::string_view path) override {
    return fs_->CreateDirectory(path);
  }
  absl::StatusOr<std::vector<std::string>> ListDirectory(absl::string_view path) override {
    return fs_->ListDirectory(path);
  }
  absl::Status Rename(absl::string_view from, absl::string_view to) override {
    return fs_->Rename(from, to);
  }
  absl::Status Link(absl::string_view from, absl::string_view to) override {
    return fs_->Link(from, to);
  }
  absl::Status RenameDirectory(absl::string_view from, absl::string_view to) override {
    return fs_->RenameDirectory(from, to);
  }
  absl::Status RemoveDirectory(absl::string_view path) override {
    return fs_->RemoveDirectory(path);
  }
  absl::Status Remove(absl::string_view path) override { return fs_->Remove(path); }
  absl::Status SyncDirectory(absl::string_view path) override { return fs_->SyncDirectory(path); }
  absl::StatusOr<std::unique_ptr<DirectoryLock>> LockDirectory(absl::string_view path) override {
    return fs_->LockDirectory(path);
  }

 private:
  class CountedFile : public File {
   public:
    CountedFile(std::unique_ptr<File> file, Reads* reads) : file_(std::move(file)), reads_(reads) {}
    absl::Status Read(uint64_t offset, size_t count, char* destination) const override {
      ++reads_->count;
      reads_->bytes += count;
      return file_->Read(offset, count, destination);
    }
    absl::Status Write(uint64_t offset, absl::string_view bytes) override {
      return file_->Write(offset, bytes);
    }
    absl::Status SyncData() override { return file_->SyncData(); }
    absl::Status WriteDurably(uint64_t offset, absl::string_view bytes) override {
      return file_->WriteDurably(offset, bytes);
    }
    absl::StatusOr<uint64_t> Size() const override { return file_->Size(); }
    absl::StatusOr<uint64_t> LinkCount() const override { return file_->LinkCount(); }
    IoPath io_path() const override { return file_->io_path(); }

   private:
    const std::unique_ptr<File> file_;
    Reads* const reads_;
  };

  absl::StatusOr<std::unique_ptr<File>> Count(absl::string_view path,
                                              absl::StatusOr<std::unique_ptr<File>> file) {
    if (!file.ok() || !absl::EndsWith(path, ".run")) return file;
    return std::make_unique<CountedFile>(*std::move(file), &reads_);
  }

  MemoryFileSystem* const fs_;
  Reads reads_;
};

std::string KeyOf(int i) { return absl::StrCat("key", i); }

absl::Status Put(Engine& engine, int key, absl::string_view value) {
  const std::string name = KeyOf(key);
  return engine.Write({{.key = name, .value = value}}, Atomicity::kEach, Noon()).status();
}

// Takes steps until there is nothing to do.
absl::Status Settle(Engine& engine) {
  for (;;) {
    SLIP_ASSIGN_OR_RETURN(const bool more, engine.Maintain());
    if (!more) return absl::OkStatus();
  }
}

// Compacts segments of some 1,700 records, of which most keys are cold and half the records
// current; says what the first cost.
struct Cost {
  uint64_t run_count = 0;
  uint64_t run_page_count = 0;
  RunReadCounter::Reads reads;
};
void CompactColdSegments(uint32_t step_bytes, Cost& cost) {
  constexpr int kKeyCount = 8000;
  Options options = ColdOptions();
  options.compaction_step_bytes = step_bytes;
  options.segment_bytes = 256 << 10;
  options.frame_bytes_target = 16 << 10;
  options.unflushed_bytes_max = 32 << 10;
  options.checkpoint_bytes = 1 << 20;
  // Leaves a sixteenth, 100 KiB or 1,500 keys, for entries; room for the copies of one segment.
  options.memory_limit_bytes = 1600 << 10;
  options.value_cache_bytes = 1600 << 10;
  MemoryFileSystem memory;
  RunReadCounter fs(&memory);
  base::Random rng(1);
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Engine> engine,
                       Engine::Open(&fs, kDirectory, options, &rng, nullptr));
  engine->PauseCompaction(true);
  const std::string value(60, 'v');
  for (int i = 0; i < kKeyCount; ++i) ASSERT_OK(Put(*engine, i, value));
  ASSERT_OK(Settle(*engine));
  // Every second record dies, blindly.
  for (int i = 0; i < kKeyCount; i += 2) ASSERT_OK(Put(*engine, i, "new"));
  ASSERT_OK(Settle(*engine));
  const EngineStats before = engine->stats();
  ASSERT_FALSE(before.complete);
  ASSERT_LT(before.live_key_count, 2000u);
  ASSERT_GE(before.run_entry_count, 8000u);

  engine->PauseCompaction(false);
  fs.Take();
  while (engine->stats().compacted_segment_count == 0) ASSERT_OK(engine->Maintain());
  cost = {
      .run_count = before.run_count, .run_page_count = before.run_bytes / 4096, .reads = fs.Take()};
  const EngineStats after = engine->stats();
  EXPECT_GT(after.copied_bytes, 500u * 100);
  EXPECT_EQ(after.checkpoint_count, before.checkpoint_count);

  ASSERT_OK(Settle(*engine));
  EXPECT_GE(engine->stats().compacted_segment_count, 2u);
  for (int i = 0; i < kKeyCount; ++i) {
    ASSERT_OK_AND_ASSIGN(const ReadResult read, engine->Get(KeyOf(i), Noon()));
    ASSERT_EQ(read.value, i % 2 == 0 ? "new" : value) << i;
  }
}

TEST(EngineCompactionColdTest, ReadsEachPageOfTheRunsOnceForASegment) {
  Cost cost;
  CompactColdSegments(256 << 10, cost);
  EXPECT_LE(cost.reads.bytes / 4096, cost.run_page_count);
  // Sixteen at a time.
  EXPECT_LE(cost.reads.count, cost.run_page_count / 16 + 2 * cost.run_count);
}

TEST(EngineCompactionColdTest, ReadsThemOftenerWhereMemoryForTheSearchIsShort) {
  Cost cost;
  CompactColdSegments(8 << 10, cost);
  EXPECT_LE(cost.reads.bytes / 4096, 3 * cost.run_page_count);
}

// Whether a key's record is current may change at any moment: by a write, by a read that brings its
// entry into memory, by a checkpoint and the eviction after it. Compacts a small store, lets all of
// that happen after `step_count` steps, `new_key_count` more keys with it, and goes on; `done`:
// whether there was nothing more to do at that moment.
void Disturb(int step_count, int new_key_count, bool& done) {
  constexpr int kKeyCount = 120;
  Options options = ColdOptions();
  options.compaction_step_bytes = 300;
  MemoryFileSystem fs;
  base::Random rng(1);
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Engine> engine,
                       Engine::Open(&fs, kDirectory, options, &rng, nullptr));
  engine->PauseCompaction(true);
  const std::string value(100, 'v');
  for (int i = 0; i < kKeyCount; ++i) ASSERT_OK(Put(*engine, i, value));
  for (int i = 0; i < kKeyCount; i += 2) ASSERT_OK(Put(*engine, i, "new"));
  ASSERT_OK(Settle(*engine));
  engine->PauseCompaction(false);
  bool more = true;
  for (int i = 0; i < step_count; ++i) {
    ASSERT_OK_AND_ASSIGN(more, engine->Maintain());
  }
  for (int i = 0; i < kKeyCount; i += 5) ASSERT_OK(Put(*engine, i, "newest"));
  for (int i = 0; i < kKeyCount; i += 7) ASSERT_OK(engine->Get(KeyOf(i), Noon()));
  for (int i = 0; i < new_key_count; ++i) ASSERT_OK(Put(*engine, kKeyCount + i, "v"));
  ASSERT_OK(Settle(*engine));
  ASSERT_OK(engine->Flush(Engine::FlushMode::kSync));
  EXPECT_GE(engine->stats().compacted_segment_count, 1u);
  EXPECT_EQ(engine->stats().failed_segment_count, 0u);
  ASSERT_OK(CheckEntriesAgainstLog(*engine, &fs));
  for (int i = 0; i < kKeyCount; ++i) {
    ASSERT_OK_AND_ASSIGN(const ReadResult read, engine->Get(KeyOf(i), Noon()));
    ASSERT_EQ(read.value, i % 5 == 0 ? "newest" : i % 2 == 0 ? "new" : value) << i;
  }
  done = !more;
}

class DisturbedColdCompactionTest : public ::testing::TestWithParam<int> {};

TEST_P(DisturbedColdCompactionTest, IsRightWhateverComesBetweenItsSearchAndItsCopies) {
  bool done = false;
  for (int step_count = 0; !done; ++step_count) {
    SCOPED_TRACE(absl::StrCat("after ", step_count, " steps"));
    Disturb(step_count, GetParam(), done);
    if (HasFailure()) return;
    if (done) EXPECT_GT(step_count, 20);
  }
}

// So many more keys fill memory far beyond its limit: a checkpoint comes between.
INSTANTIATE_TEST_SUITE_P(NewKeys, DisturbedColdCompactionTest, ::testing::Values(0, 400));

}  // namespace
}  // namespace slipstream::storage
