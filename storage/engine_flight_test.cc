// Several frames on their way to the disk at once: they may arrive in any order, and the power may
// fail at any moment, but what is acknowledged is there, and with it all that was written before.

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "base/check.h"
#include "base/random.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/engine.h"
#include "storage/entry.h"
#include "storage/file_system.h"
#include "storage/memory_file_system.h"
#include "storage/options.h"
#include "storage/testing/small_store.h"

namespace slipstream::storage {
namespace {

using base::testing::StatusIs;
using testing::Account;
using testing::AllEntries;
using testing::CheckEntriesAgainstLog;
using testing::kDirectory;
using testing::Noon;
using testing::SmallOptions;

constexpr size_t kFrameCount = 3;

Options FlightOptions() {
  Options options = SmallOptions();
  options.segment_bytes = 1 << 20;
  options.frames_in_flight_max = kFrameCount;
  return options;
}

// Loses power, now or later, in a copy of `fs`, and holds what is left to `account`; goes on with a
// write, loses power again.
void CheckCrash(const MemoryFileSystem& fs, Account account, bool keeps_unsynced) {
  const std::unique_ptr<MemoryFileSystem> crashed = fs.Clone();
  base::Random rng(5);
  for (const char* key : {"after", "later"}) {
    crashed->CrashKeeping([keeps_unsynced](size_t) { return keeps_unsynced; });
    ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Engine> engine,
                         Engine::Open(crashed.get(), kDirectory, FlightOptions(), &rng, nullptr));
    ASSERT_OK(account.CheckReopened(*engine));
    ASSERT_OK(CheckEntriesAgainstLog(*engine, AllEntries(*engine), crashed.get()));
    const Mutation put{.key = key, .value = "the crash"};
    ASSERT_OK_AND_ASSIGN(const WriteResult result, engine->Write({put}, Atomicity::kEach, Noon()));
    account.Wrote({put}, Atomicity::kEach, result);
    ASSERT_OK_AND_ASSIGN(const Lsn durable_lsn, engine->Flush(Engine::FlushMode::kSync));
    account.Durable(durable_lsn);
  }
}

// An engine with a frame for each of kFrameCount flushing threads in flight, held before the disk.
class Flight {
 public:
  // With `is_unsynced`, something was written before that is not synced, so that a sync of its own
  // makes the frames durable, once no frame is in flight.
  explicit Flight(bool is_unsynced = false) {
    absl::StatusOr<std::unique_ptr<Engine>> engine =
        Engine::Open(&fs_, kDirectory, FlightOptions(), &rng_, nullptr);
    SLIP_CHECK_OK(engine.status());
    engine_ = *std::move(engine);
    // The first segment is made and in use.
    Put("first");
    const absl::StatusOr<Lsn> durable_lsn = engine_->Flush(Engine::FlushMode::kSync);
    SLIP_CHECK_OK(durable_lsn.status());
    account_.Durable(*durable_lsn);
    if (is_unsynced) {
      Put("unsynced");
      SLIP_CHECK_OK(engine_->Flush(Engine::FlushMode::kWrite).status());
    }
    fs_.set_write_hook([this] {
      const size_t index = started_count_++;
      if (index >= kFrameCount) return;
      frames_[index].started.Notify();
      frames_[index].released.WaitForNotification();
    });
    for (size_t i = 0; i < kFrameCount; ++i) {
      frames_[i].lsn = Put(absl::StrCat("key", i));
      frames_[i].flusher = std::thread([this, i] { Flush(i); });
      frames_[i].started.WaitForNotification();
    }
  }
  ~Flight() { LandAll(); }

  // Lets all go on that are still held, and returns when every flush has ended.
  void LandAll() {
    for (Frame& frame : frames_) {
      if (frame.released.HasBeenNotified()) continue;
      frame.has_landed = true;
      frame.released.Notify();
    }
    Join();
  }

  // Lets frame `index` reach the disk, and returns when it has.
  void Land(size_t index) {
    const auto sync_count = [this] {
      return fs_.call_count(MemoryFileSystem::Operation::kSyncData);
    };
    const uint64_t before = sync_count();
    frames_[index].has_landed = true;
    frames_[index].released.Notify();
    while (sync_count() == before) std::this_thread::yield();
  }

  // The same, if its write fails.
  void FailToLand(size_t index) {
    frames_[index].released.Notify();
    frames_[index].flusher.join();
  }

  // Frame `index` and all before it have landed: waits until that is acknowledged.
  void AwaitAcknowledged(size_t index) {
    frames_[index].flusher.join();
    account_.Durable(frames_[index].lsn);
  }

  void Join() {
    for (Frame& frame : frames_) {
      if (frame.flusher.joinable()) frame.flusher.join();
    }
  }

  MemoryFileSystem& fs() { return fs_; }
  Engine& engine() { return *engine_; }
  const Account& account() const { return account_; }
  const absl::Status& outcome(size_t index) const { return frames_[index].outcome; }

 private:
  struct Frame {
    Lsn lsn = 0;
    std::thread flusher;
    absl::Notification started;
    absl::Notification released;
    std::atomic<bool> has_landed = false;  // Or is about to.
    absl::Status outcome;
  };

  // Returns the LSN of its record.
  Lsn Put(absl::string_view key) {
    const Mutation put{.key = key, .value = "value"};
    const absl::StatusOr<WriteResult> result = engine_->Write({put}, Atomicity::kEach, Noon());
    SLIP_CHECK_OK(result.status());
    account_.Wrote({put}, Atomicity::kEach, *result);
    return result->lsn;
  }

  void Flush(size_t index) {
    const absl::StatusOr<Lsn> durable_lsn = engine_->Flush(Engine::FlushMode::kSync);
    frames_[index].outcome = durable_lsn.status();
    if (!durable_lsn.ok()) return;
    EXPECT_GE(*durable_lsn, frames_[index].lsn);
    for (const Frame& frame : frames_) {
      if (frame.lsn <= *durable_lsn) EXPECT_TRUE(frame.has_landed) << "frame of LSN " << frame.lsn;
    }
  }

  MemoryFileSystem fs_;
  base::Random rng_{1};
  std::unique_ptr<Engine> engine_;
  Account account_;
  std::atomic<size_t> started_count_ = 0;
  std::array<Frame, kFrameCount> frames_;
};

// Power fails before the first frame lands, and after each, in every order of landing.
TEST(EngineFlightTest, AcknowledgedInTheOrderOfTheLogWhateverTheOrderOfLanding) {
  std::array<size_t, kFrameCount> order = {0, 1, 2};
  do {
    SCOPED_TRACE(absl::StrCat("order ", order[0], order[1], order[2]));
    Flight flight;
    const Lsn durable_at_start = flight.engine().durable_lsn();
    std::array<bool, kFrameCount> has_landed = {};
    size_t acknowledged_count = 0;
    for (const size_t index : order) {
      for (const bool keeps_unsynced : {false, true}) {
        CheckCrash(flight.fs(), flight.account(), keeps_unsynced);
      }
      flight.Land(index);
      has_landed[index] = true;
      for (; acknowledged_count < kFrameCount && has_landed[acknowledged_count];
           ++acknowledged_count) {
        flight.AwaitAcknowledged(acknowledged_count);
      }
      EXPECT_EQ(flight.engine().durable_lsn(), durable_at_start + acknowledged_count);
    }
    CheckCrash(flight.fs(), flight.account(), /*keeps_unsynced=*/false);
    for (size_t i = 0; i < kFrameCount; ++i) EXPECT_OK(flight.outcome(i));
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST(EngineFlightTest, WhatIsInFlightIsReadFromMemory) {
  Flight flight;
  ASSERT_OK_AND_ASSIGN(const ReadResult read, flight.engine().Get("key1", Noon()));
  EXPECT_EQ(read.value, "value");
  EXPECT_LT(flight.engine().durable_lsn(), read.lsn);
}

TEST(EngineFlightTest, NothingBehindAFailedWriteIsAcknowledged) {
  Flight flight;
  const Lsn durable_lsn = flight.engine().durable_lsn();
  flight.Land(2);
  flight.fs().InjectFault({.operation = MemoryFileSystem::Operation::kWrite});
  flight.FailToLand(0);
  flight.Land(1);
  flight.Join();
  for (size_t i = 0; i < kFrameCount; ++i) {
    EXPECT_THAT(flight.outcome(i), StatusIs(absl::StatusCode::kUnavailable));
  }
  EXPECT_EQ(flight.engine().durable_lsn(), durable_lsn);
  for (const bool keeps_unsynced : {false, true}) {
    CheckCrash(flight.fs(), flight.account(), keeps_unsynced);
  }
}

// Hands out files that go through the page cache.
class BufferedFileSystem final : public MemoryFileSystem {
 public:
  absl::StatusOr<std::unique_ptr<File>> OpenDirect(absl::string_view path, OpenMode mode) override {
    return Open(path, mode);
  }
};

// The system may report a failed write-back of one frame to the call that writes another.
TEST(EngineFlightTest, ThroughThePageCacheOneFrameIsOnItsWayAtATime) {
  BufferedFileSystem fs;
  base::Random rng(1);
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Engine> engine,
                       Engine::Open(&fs, kDirectory, FlightOptions(), &rng, nullptr));
  const auto put = [&](absl::string_view key) {
    ASSERT_OK(engine->Write({{.key = key, .value = "value"}}, Atomicity::kEach, Noon()));
  };
  put("first");
  ASSERT_OK(engine->Flush(Engine::FlushMode::kSync));
  std::atomic<int> started_count = 0;
  absl::Notification started;
  absl::Notification released;
  fs.set_write_hook([&] {
    if (started_count++ != 0) return;
    started.Notify();
    released.WaitForNotification();
  });
  const auto flush = [&] { EXPECT_OK(engine->Flush(Engine::FlushMode::kSync)); };
  put("second");
  std::thread one(flush);
  started.WaitForNotification();
  put("third");
  std::thread other(flush);
  // Time enough for the other one, if it did not wait.
  for (int i = 0; i < 100'000 && started_count == 1; ++i) std::this_thread::yield();
  EXPECT_EQ(started_count, 1);
  released.Notify();
  one.join();
  other.join();
  EXPECT_EQ(started_count, 2);
  EXPECT_EQ(engine->durable_lsn(), engine->appended_lsn());
}

// The system may report a failed sync once, and drop what it should have written: who syncs again
// hears that all is well.
TEST(EngineFlightTest, NoThreadTriesAgainTheSyncThatFailedForAnother) {
  Flight flight(/*is_unsynced=*/true);
  const Lsn durable_lsn = flight.engine().durable_lsn();
  flight.fs().InjectFault({.operation = MemoryFileSystem::Operation::kSyncData});
  const uint64_t syncs = flight.fs().call_count(MemoryFileSystem::Operation::kSyncData);
  flight.LandAll();
  EXPECT_EQ(flight.fs().call_count(MemoryFileSystem::Operation::kSyncData), syncs + 1);
  EXPECT_EQ(flight.engine().durable_lsn(), durable_lsn);
  for (size_t i = 0; i < kFrameCount; ++i) {
    EXPECT_THAT(flight.outcome(i), StatusIs(absl::StatusCode::kUnavailable));
  }
  for (const bool keeps_unsynced : {false, true}) {
    CheckCrash(flight.fs(), flight.account(), keeps_unsynced);
  }
}

// Three threads that put and flush, each its own key, and one that maintains. Power fails, in a
// copy, before every write to a file.
class BusyEngine {
 public:
  explicit BusyEngine(uint64_t seed) : rng_(seed), power_(seed) {
    fs_.set_write_hook([this] { CheckCrash(); });
    absl::StatusOr<std::unique_ptr<Engine>> engine =
        Engine::Open(&fs_, kDirectory, BusyOptions(), &rng_, nullptr);
    SLIP_CHECK_OK(engine.status());
    engine_ = *std::move(engine);
  }

  void Run() {
    std::vector<std::thread> threads;
    for (size_t writer = 0; writer < kFrameCount; ++writer) {
      threads.emplace_back([this, writer] { Write(writer); });
    }
    threads.emplace_back([this] {
      while (busy_count_ != 0) SLIP_CHECK_OK(engine_->Maintain().status());
    });
    for (std::thread& thread : threads) thread.join();
  }

 private:
  static Options BusyOptions() {
    Options options = SmallOptions();
    options.frames_in_flight_max = kFrameCount;
    return options;
  }
  static std::string KeyOf(size_t writer) { return absl::StrCat("key", writer); }

  void Write(size_t writer) {
    constexpr int kPutCount = 40;
    const std::string key = KeyOf(writer);
    for (int i = 1; i <= kPutCount; ++i) {
      const std::string value = absl::StrCat(i);
      const Mutation put{.key = key, .value = value};
      const absl::StatusOr<WriteResult> result = engine_->Write({put}, Atomicity::kEach, Noon());
      SLIP_CHECK_OK(result.status());
      const absl::StatusOr<Lsn> durable_lsn = engine_->Flush(Engine::FlushMode::kSync);
      SLIP_CHECK_OK(durable_lsn.status());
      SLIP_CHECK(*durable_lsn >= result->lsn);
      acknowledged_[writer] = i;
    }
    --busy_count_;
  }

  // What had been acknowledged is there, and the rest is no damage.
  void CheckCrash() {
    std::array<int, kFrameCount> least;
    std::copy(acknowledged_.begin(), acknowledged_.end(), least.begin());
    const std::unique_ptr<MemoryFileSystem> crashed = fs_.Clone();
    {
      absl::MutexLock lock(&power_mutex_);
      crashed->Crash(&power_);
    }
    base::Random rng(5);
    ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Engine> engine,
                         Engine::Open(crashed.get(), kDirectory, BusyOptions(), &rng, nullptr));
    for (size_t writer = 0; writer < kFrameCount; ++writer) {
      ASSERT_OK_AND_ASSIGN(const ReadResult read, engine->Get(KeyOf(writer), Noon()));
      int found = 0;
      if (read.found) ASSERT_TRUE(absl::SimpleAtoi(read.value, &found));
      EXPECT_GE(found, least[writer]) << "writer " << writer;
    }
  }

  MemoryFileSystem fs_;
  base::Random rng_;
  std::unique_ptr<Engine> engine_;
  std::array<std::atomic<int>, kFrameCount> acknowledged_ = {};
  std::atomic<size_t> busy_count_ = kFrameCount;
  absl::Mutex power_mutex_;
  base::Random power_ ABSL_GUARDED_BY(power_mutex_);
};

// Segments end, witnesses are written and segments compacted between the frames of three threads;
// what a loss of power at any moment leaves is whole.
TEST(EngineFlightTest, PowerFailsWhileThreadsFlushAndTheLogIsMaintained) {
  for (uint64_t seed = 1; seed <= 5 && !HasFailure(); ++seed) BusyEngine(seed).Run();
}

}  // namespace
}  // namespace slipstream::storage
