// Entries that leave memory while others read, write and walk: under several threads (run with
// --config=tsan as well), and at the worst moments by plan.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "base/check.h"
#include "base/key_id.h"
#include "base/random.h"
#include "base/testing/status_matchers.h"
#include "base/version.h"
#include "gtest/gtest.h"
#include "storage/engine.h"
#include "storage/entry.h"
#include "storage/file_system.h"
#include "storage/memory_file_system.h"
#include "storage/options.h"
#include "storage/precondition.h"
#include "storage/testing/small_store.h"

namespace slipstream::storage {
namespace {

using base::testing::StatusIs;
using testing::AllEntries;
using testing::ColdOptions;
using testing::kDirectory;
using testing::Noon;

std::string KeyOf(size_t number) { return absl::StrCat("key", number); }

const base::KeyRange kAllKeys = base::RangeOf(base::KeyPrefix{});

uint64_t NumberIn(const absl::StatusOr<ReadResult>& read) {
  SLIP_CHECK_OK(read.status());
  uint64_t number = 0;
  SLIP_CHECK(!read->found || absl::SimpleAtoi(read->value, &number));
  return number;
}

// Expects a visit to see, in order, every key whose least HLC is not 0, and none with a lesser one.
void CheckVisit(Engine& engine, const std::map<base::KeyId, base::Hlc>& least_hlcs) {
  size_t missing_count = 0;
  for (const auto& [key_id, hlc] : least_hlcs) missing_count += hlc != 0 ? 1 : 0;
  absl::optional<base::KeyId> last;
  SLIP_CHECK_OK(engine.VisitEntries(kAllKeys, [&](const Entry& entry) {
    SLIP_CHECK(!last.has_value() || *last < entry.key_id);
    last = entry.key_id;
    const base::Hlc least_hlc = least_hlcs.at(entry.key_id);
    SLIP_CHECK(entry.version.hlc >= least_hlc);
    if (least_hlc != 0) --missing_count;
    return true;
  }));
  SLIP_CHECK(missing_count == 0);
}

// One writer of ever greater numbers; whoever reads or walks must see, of each key, no less than
// what was acknowledged before and no more than what was begun.
TEST(EngineColdThreadsTest, WhatWasAcknowledgedIsSeenWhereverItIs) {
  constexpr size_t kKeyCount = 200;
  constexpr uint64_t kCheckpointCount = 60;
  constexpr uint64_t kVisitCount = 60;
  MemoryFileSystem fs;
  base::Random rng(1);
  Options options = ColdOptions();
  options.value_cache_bytes = 0;
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Engine> engine,
                       Engine::Open(&fs, kDirectory, options, &rng, nullptr));
  std::array<std::atomic<uint64_t>, kKeyCount> begun = {};
  std::array<std::atomic<uint64_t>, kKeyCount> written = {};
  std::array<std::atomic<base::Hlc>, kKeyCount> written_hlc = {};
  std::atomic<bool> done{false};
  std::atomic<uint64_t> visit_count{0};
  // However the threads are scheduled, enough happens beside each other.
  const auto is_enough = [&] {
    return engine->stats().checkpoint_count >= kCheckpointCount && visit_count >= kVisitCount;
  };
  std::thread writer([&] {
    base::Random draw(2);
    for (uint64_t number = 1; number % 100 != 0 || !is_enough(); ++number) {
      const size_t index = draw.Below(kKeyCount);
      const std::string key = KeyOf(index);
      const std::string value = absl::StrCat(number);
      begun[index] = number;
      const absl::StatusOr<WriteResult> result =
          engine->Write({{.key = key, .value = value}}, Atomicity::kEach, Noon());
      SLIP_CHECK_OK(result.status());
      written_hlc[index] = result->versions[0].hlc;
      written[index] = number;
    }
    done = true;
  });
  std::thread reader([&] {
    base::Random draw(3);
    for (uint64_t turn = 0; !done; ++turn) {
      const size_t index = draw.Below(kKeyCount);
      const uint64_t least = written[index];
      const uint64_t number = NumberIn(engine->Get(KeyOf(index), Noon()));
      SLIP_CHECK(number >= least);
      SLIP_CHECK(number <= begun[index]);
      if (turn % 50 != 0) continue;
      std::map<base::KeyId, base::Hlc> least_hlcs;
      for (size_t i = 0; i < kKeyCount; ++i) least_hlcs[base::KeyIdOf(KeyOf(i))] = written_hlc[i];
      CheckVisit(*engine, least_hlcs);
      ++visit_count;
    }
  });
  std::thread maintainer([&] {
    while (!done) SLIP_CHECK_OK(engine->Maintain().status());
  });
  writer.join();
  reader.join();
  maintainer.join();
  EXPECT_GT(engine->stats().evicted_count, kKeyCount);
  for (size_t i = 0; i < kKeyCount; ++i) {
    EXPECT_EQ(NumberIn(engine->Get(KeyOf(i), Noon())), written[i]);
  }
}

// Passes everything on to a MemoryFileSystem, and lets a test act within the next read of a run.
class HookedFileSystem : public FileSystem {
 public:
  absl::StatusOr<std::unique_ptr<File>> Open(absl::string_view path, OpenMode mode) override {
    return Hook(path, disk_.Open(path, mode));
  }
  absl::StatusOr<std::unique_ptr<File>> OpenDirect(absl::string_view path, OpenMode mode) override {
    return Hook(path, disk_.OpenDirect(path, mode));
  }
  absl::Status CreateDirectory(absl::string_view path) override {
    return disk_.CreateDirectory(path);
  }
  absl::StatusOr<std::vector<std::string>> ListDirectory(absl::string_view path) override {
    return disk_.ListDirectory(path);
  }
  absl::Status Rename(absl::string_view from, absl::string_view to) override {
    return disk_.Rename(from, to);
  }
  absl::Status Link(absl::string_view from, absl::string_view to) override {
    return disk_.Link(from, to);
  }
  absl::Status RenameDirectory(absl::string_view from, absl::string_view to) override {
    return disk_.RenameDirectory(from, to);
  }
  absl::Status RemoveDirectory(absl::string_view path) override {
    return disk_.RemoveDirectory(path);
  }
  absl::Status Remove(absl::string_view path) override { return disk_.Remove(path); }
  absl::Status SyncDirectory(absl::string_view path) override { return disk_.SyncDirectory(path); }
  absl::StatusOr<std::unique_ptr<DirectoryLock>> LockDirectory(absl::string_view path) override {
    return disk_.LockDirectory(path);
  }

  // Calls `act` once, after the next read of a page of a run has got its bytes.
  void ActWithinNextRead(std::function<void()> act) { act_ = std::move(act); }
  bool acted() const { return act_ == nullptr; }

 private:
  class HookedFile : public File {
   public:
    HookedFile(HookedFileSystem* fs, std::unique_ptr<File> file)
        : fs_(fs), file_(std::move(file)) {}
    absl::Status Read(uint64_t offset, size_t count, char* destination) const override {
      absl::Status status = file_->Read(offset, count, destination);
      if (fs_->act_ != nullptr) std::exchange(fs_->act_, nullptr)();
      return status;
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
    HookedFileSystem* const fs_;
    const std::unique_ptr<File> file_;
  };

  absl::StatusOr<std::unique_ptr<File>> Hook(absl::string_view path,
                                             absl::StatusOr<std::unique_ptr<File>> file) {
    if (!file.ok() || !absl::EndsWith(path, ".run")) return file;
    return std::unique_ptr<File>(std::make_unique<HookedFile>(this, *std::move(file)));
  }

  MemoryFileSystem disk_;
  std::function<void()> act_;
};

// A store whose keys are all in a run and out of memory.
class ColdMomentTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Options options = ColdOptions();
    options.value_cache_bytes = 0;
    options.compression = Compression::kNone;  // Or what fills the log would not.
    ASSERT_OK_AND_ASSIGN(engine_, Engine::Open(&fs_, kDirectory, options, &rng_, nullptr));
    for (size_t i = 0; i < 300; ++i) Put(KeyOf(i), "1");
    Settle();
  }

  void Put(absl::string_view key, absl::string_view value) {
    ASSERT_OK(engine_->Write({{.key = key, .value = value}}, Atomicity::kEach, Noon()));
  }

  // Steps until there is nothing to do, with a checkpoint before, so that everything has left
  // memory.
  void Settle() {
    // As many bytes as a checkpoint follows.
    for (int i = 0; i < 40; ++i) Put("filler", std::string(900, static_cast<char>(i)));
    for (bool more = true; more;) {
      ASSERT_OK_AND_ASSIGN(more, engine_->Maintain());
    }
    ASSERT_EQ(engine_->stats().live_key_count, 0u);
  }

  HookedFileSystem fs_;
  base::Random rng_{1};
  std::unique_ptr<Engine> engine_;
};

TEST_F(ColdMomentTest, WhatAReadTookFromAnOldRunDoesNotHideTheNewOne) {
  fs_.ActWithinNextRead([this] {
    Put(KeyOf(5), "2");
    Settle();
  });
  // The put came in the middle: either is a right answer.
  EXPECT_GE(NumberIn(engine_->Get(KeyOf(5), Noon())), 1u);
  ASSERT_TRUE(fs_.acted());
  EXPECT_EQ(NumberIn(engine_->Get(KeyOf(5), Noon())), 2u);
}

TEST_F(ColdMomentTest, AVisitSeesWhatLeavesMemoryMeanwhile) {
  // In memory alone when the visit looks at the runs, in a run alone when it looks at memory.
  constexpr size_t kWarmCount = 20;
  const size_t count = AllEntries(*engine_).size();
  for (size_t i = 0; i < kWarmCount; ++i) Put(absl::StrCat("warm", i), "1");
  fs_.ActWithinNextRead([this] { Settle(); });
  EXPECT_EQ(AllEntries(*engine_).size(), count + kWarmCount);
  ASSERT_TRUE(fs_.acted());
}

TEST_F(ColdMomentTest, AConditionIsHeldAgainstTheNewestEntry) {
  const std::string key = KeyOf(6);
  ASSERT_OK_AND_ASSIGN(const ReadResult before, engine_->Get(key, Noon()));
  Settle();
  fs_.ActWithinNextRead([this, &key] {
    Put(key, "2");
    Settle();
  });
  const Precondition unchanged{
      .kind = Precondition::Kind::kVersion, .key = key, .version = before.version};
  EXPECT_THAT(engine_->Transact({unchanged}, {{.key = key, .value = "3"}}, Noon()),
              StatusIs(absl::StatusCode::kAborted));
  ASSERT_TRUE(fs_.acted());
  EXPECT_EQ(NumberIn(engine_->Get(key, Noon())), 2u);
}

TEST_F(ColdMomentTest, WhatWasAbsentMayHaveComeAndLeftMemoryBeforeTheLock) {
  // The first key is found to be nowhere; while the second is looked for, it comes and goes.
  fs_.ActWithinNextRead([this] {
    Put("fresh", "1");
    Settle();
  });
  EXPECT_THAT(engine_->Transact({{.kind = Precondition::Kind::kAbsent, .key = "fresh"},
                                 {.kind = Precondition::Kind::kPresent, .key = KeyOf(5)}},
                                {{.key = "fresh", .value = "2"}}, Noon()),
              StatusIs(absl::StatusCode::kAborted));
  ASSERT_TRUE(fs_.acted());
  EXPECT_EQ(NumberIn(engine_->Get("fresh", Noon())), 1u);
}

}  // namespace
}  // namespace slipstream::storage
