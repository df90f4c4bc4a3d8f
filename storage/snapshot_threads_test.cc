// Snapshots under writers, flushes and compaction; run with --config=tsan as well.

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "base/check.h"
#include "base/random.h"
#include "base/testing/status_matchers.h"
#include "gtest/gtest.h"
#include "storage/engine.h"
#include "storage/entry.h"
#include "storage/file_system.h"
#include "storage/memory_file_system.h"
#include "storage/options.h"
#include "storage/record.h"
#include "storage/snapshot.h"
#include "storage/snapshot_reader.h"
#include "storage/snapshot_source.h"
#include "storage/testing/chain_hasher.h"
#include "storage/testing/small_store.h"

namespace slipstream::storage {
namespace {

using testing::ChainHasher;
using testing::Noon;
using testing::SmallOptions;

constexpr int kPairCount = 40;
constexpr int kWritesMin = 400;
constexpr int kSnapshotCount = 6;

// What the pairs of keys must hold at a moment: each write is an atomic batch of two puts of one
// number, so the greatest number that starts no later than the snapshot's last record counts.
class Model {
 public:
  void Wrote(int pair, int number, Lsn lsn) {
    absl::MutexLock lock(&mutex_);
    writes_.push_back({pair, number, lsn});
  }
  // What each pair held after the record `lsn`; -1: nothing.
  std::vector<int> At(Lsn lsn) const {
    absl::MutexLock lock(&mutex_);
    std::vector<int> numbers(kPairCount, -1);
    for (const Written& written : writes_) {
      if (written.lsn <= lsn) numbers[static_cast<size_t>(written.pair)] = written.number;
    }
    return numbers;
  }

 private:
  struct Written {
    int pair;
    int number;
    Lsn lsn;
  };
  mutable absl::Mutex mutex_;
  std::vector<Written> writes_;  // Of one thread, in order.
};

// Both keys of each pair, as the snapshot holds them.
void ExpectHolds(FileSystem* fs, const SavedSnapshot& saved, const std::vector<int>& numbers) {
  ChainHasher hasher;
  std::vector<int> left(kPairCount, -1);
  std::vector<int> right(kPairCount, -1);
  ASSERT_OK(ReadSnapshot(fs, saved.path, {}, hasher, [&](const RecordView& record) {
    const int pair = std::stoi(std::string(record.key.substr(1)));
    (record.key[0] == 'l' ? left : right)[static_cast<size_t>(pair)] =
        std::stoi(std::string(record.value));
    return absl::OkStatus();
  }));
  EXPECT_EQ(left, numbers);
  EXPECT_EQ(right, numbers);
}

TEST(SnapshotThreadsTest, EachHoldsAMomentOfTheWritesThatGoOn) {
  MemoryFileSystem fs;
  base::Random rng(3);
  Options options = SmallOptions();
  options.compression = Compression::kNone;
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Engine> engine,
                       Engine::Open(&fs, "/data", options, &rng, nullptr));
  Model model;
  std::atomic<bool> done{false};
  std::atomic<int> write_count{0};
  std::thread writer([&] {
    for (int number = 0; !done || number < kWritesMin; ++number) {
      const int pair = number * 7 % kPairCount;
      const std::string left = absl::StrCat("l", pair);
      const std::string right = absl::StrCat("r", pair);
      const std::string value = absl::StrCat(number, " ", std::string(120, 'x'));
      const auto result = engine->Write(
          {{.key = left, .value = value}, {.key = right, .value = value}}, Atomicity::kAll, Noon());
      SLIP_CHECK_OK(result.status());
      model.Wrote(pair, number, result->lsn);
      ++write_count;
    }
  });
  std::thread maintainer([&] {
    while (!done) SLIP_CHECK_OK(engine->Maintain().status());
  });
  std::vector<SavedSnapshot> saved;
  for (int i = 0; i < kSnapshotCount; ++i) {
    // Something new in each, or two would be one.
    const int seen = write_count;
    while (write_count < seen + 20) std::this_thread::yield();
    ASSERT_OK_AND_ASSIGN(const SnapshotSource source, engine->PinSnapshot());
    ChainHasher hasher;
    ASSERT_OK_AND_ASSIGN(SavedSnapshot snapshot,
                         SaveSnapshot(&fs, source, "/backup", {.now = Noon()}, hasher));
    saved.push_back(std::move(snapshot));
  }
  done = true;
  writer.join();
  maintainer.join();
  for (const SavedSnapshot& snapshot : saved) {
    EXPECT_FALSE(snapshot.was_there);
    ExpectHolds(&fs, snapshot, model.At(snapshot.file.header.last_lsn));
    ChainHasher hasher;
    EXPECT_OK(VerifySnapshot(&fs, snapshot.path, {}, hasher));
  }
}

}  // namespace
}  // namespace slipstream::storage
