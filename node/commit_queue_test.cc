#include "node/commit_queue.h"

#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "base/error_reason.h"
#include "base/random.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/engine.h"
#include "storage/memory_file_system.h"

namespace slipstream::node {
namespace {

using base::testing::StatusIs;
using storage::Engine;
using storage::MemoryFileSystem;
using storage::SyncPolicy;
using ::testing::ElementsAre;

class CommitQueueTest : public ::testing::Test {
 protected:
  void Open(const CommitOptions& options) {
    storage::Options storage;
    storage.sync = options.sync;
    storage.segment_bytes = 8 << 20;
    absl::StatusOr<std::unique_ptr<Engine>> engine =
        Engine::Open(&disk_, "/data", storage, &rng_, nullptr);
    SLIP_CHECK_OK(engine.status());
    engine_ = *std::move(engine);
    queue_ = std::make_unique<CommitQueue>(engine_.get(), options,
                                           [this](const absl::Status&) { failed_.Notify(); });
  }

  storage::Lsn Put(const std::string& key) {
    const storage::Mutation mutation{.key = key, .value = "value"};
    const absl::StatusOr<storage::WriteResult> result =
        engine_->Write({&mutation, 1}, storage::Atomicity::kEach, absl::UnixEpoch());
    EXPECT_OK(result);
    return result.ok() ? result->lsn : 0;
  }

  // Opens with a first record durable, so that the first segment is there.
  void OpenInUse(const CommitOptions& options) {
    Open(options);
    Put("first");
    EXPECT_OK(engine_->Flush(Engine::FlushMode::kSync));
  }

  // Waits for the answer for `lsn`.
  absl::Status Await(storage::Lsn lsn) {
    absl::Status status;
    absl::Notification answered;
    queue_->RunWhenDurable(lsn, [&](const absl::Status& answer) {
      status = answer;
      answered.Notify();
    });
    answered.WaitForNotification();
    return status;
  }

  MemoryFileSystem disk_;
  base::Random rng_{1};
  std::unique_ptr<Engine> engine_;
  absl::Notification failed_;
  std::unique_ptr<CommitQueue> queue_;
};

// Holds the first two writes to a file.
class HeldWrites {
 public:
  explicit HeldWrites(MemoryFileSystem* disk) : disk_(disk) {
    disk_->set_write_hook([this] {
      const size_t index = started_count_++;
      if (index >= writes_.size()) return;
      writes_[index].started.Notify();
      writes_[index].released.WaitForNotification();
    });
  }
  ~HeldWrites() { disk_->set_write_hook(nullptr); }

  void AwaitStart(size_t index) { writes_[index].started.WaitForNotification(); }
  void Release(size_t index) { writes_[index].released.Notify(); }

 private:
  struct Write {
    absl::Notification started;
    absl::Notification released;
  };

  MemoryFileSystem* const disk_;
  std::atomic<size_t> started_count_ = 0;
  std::array<Write, 2> writes_;
};

TEST_F(CommitQueueTest, AnswersAtOnceWhatIsDurable) {
  Open({});
  bool answered = false;
  queue_->RunWhenDurable(0, [&answered](const absl::Status& status) { answered = status.ok(); });
  EXPECT_TRUE(answered);
}

TEST_F(CommitQueueTest, AnswersWhenTheRecordIsDurable) {
  Open({});
  const storage::Lsn lsn = Put("key");
  EXPECT_LT(engine_->durable_lsn(), lsn);
  EXPECT_OK(Await(lsn));
  EXPECT_GE(engine_->durable_lsn(), lsn);
}

TEST_F(CommitQueueTest, AThreadWaitsUntilTheRecordIsDurable) {
  Open({});
  const storage::Lsn lsn = Put("key");
  EXPECT_LT(engine_->durable_lsn(), lsn);
  EXPECT_OK(queue_->AwaitDurable(lsn));
  EXPECT_GE(engine_->durable_lsn(), lsn);
  EXPECT_OK(queue_->AwaitDurable(lsn));
}

TEST_F(CommitQueueTest, AThreadThatWaitsAloneFlushesItself) {
  OpenInUse({});
  std::vector<std::thread::id> writers;
  absl::Mutex mutex;
  disk_.set_write_hook([&] {
    absl::MutexLock lock(&mutex);
    writers.push_back(std::this_thread::get_id());
  });
  for (int i = 0; i < 3; ++i) EXPECT_OK(queue_->AwaitDurable(Put("key")));
  EXPECT_THAT(writers, ::testing::Each(std::this_thread::get_id()));
  EXPECT_GE(writers.size(), 3u);
  // After a flush for several nobody expects to be alone; after one for one again.
  absl::BlockingCounter left(3);
  const auto answer = [&left](const absl::Status&) { left.DecrementCount(); };
  {
    HeldWrites held(&disk_);
    Put("key");
    queue_->RunWhenDurable(Put("key"), answer);
    held.AwaitStart(0);
    // Two records are under way: the second flush starts when two wait.
    queue_->RunWhenDurable(Put("key"), answer);
    queue_->RunWhenDurable(Put("key"), answer);
    held.AwaitStart(1);
    held.Release(0);
    held.Release(1);
    left.Wait();
  }
  writers.clear();
  disk_.set_write_hook([&] {
    absl::MutexLock lock(&mutex);
    writers.push_back(std::this_thread::get_id());
  });
  EXPECT_OK(queue_->AwaitDurable(Put("key")));
  EXPECT_THAT(writers, ElementsAre(::testing::Ne(std::this_thread::get_id())));
  // The queue's threads may be a moment late to note that they are done.
  while (writers.back() != std::this_thread::get_id()) {
    ASSERT_LT(writers.size(), 10'000u);
    EXPECT_OK(queue_->AwaitDurable(Put("key")));
  }
  disk_.set_write_hook(nullptr);
}

TEST_F(CommitQueueTest, OneSyncCarriesManyAnswers) {
  OpenInUse({});
  constexpr int kCount = 1000;
  std::vector<storage::Lsn> lsns;
  for (int i = 0; i < kCount; ++i) lsns.push_back(Put(absl::StrCat(i)));
  const uint64_t syncs_before = engine_->stats().sync_count;
  absl::BlockingCounter left(kCount);
  std::atomic<int> ok_count = 0;
  for (const storage::Lsn lsn : lsns) {
    queue_->RunWhenDurable(lsn, [this, lsn, &left, &ok_count](const absl::Status& status) {
      if (status.ok() && engine_->durable_lsn() >= lsn) ok_count.fetch_add(1);
      left.DecrementCount();
    });
  }
  left.Wait();
  EXPECT_EQ(ok_count.load(), kCount);
  EXPECT_EQ(engine_->stats().sync_count, syncs_before + 1);
}

TEST_F(CommitQueueTest, NextFlushDoesNotWaitForTheOneUnderWay) {
  OpenInUse({});
  HeldWrites held(&disk_);
  std::array<absl::Notification, 2> answered;
  for (size_t i = 0; i < answered.size(); ++i) {
    queue_->RunWhenDurable(Put("key"), [&answered, i](const absl::Status& status) {
      EXPECT_OK(status);
      answered[i].Notify();
    });
    held.AwaitStart(i);
  }
  held.Release(1);
  for (const absl::Notification& each : answered) EXPECT_FALSE(each.HasBeenNotified());
  held.Release(0);
  for (const absl::Notification& each : answered) each.WaitForNotification();
}

TEST_F(CommitQueueTest, NextFlushStartsWhenAsMuchWaitsAsIsUnderWay) {
  OpenInUse({});
  const uint64_t syncs_before = engine_->stats().sync_count;
  HeldWrites held(&disk_);
  absl::BlockingCounter left(3);
  const auto answer = [&left](const absl::Status& status) {
    EXPECT_OK(status);
    left.DecrementCount();
  };
  Put("key");
  queue_->RunWhenDurable(Put("key"), answer);
  held.AwaitStart(0);
  queue_->RunWhenDurable(Put("key"), answer);
  queue_->RunWhenDurable(Put("key"), answer);
  held.AwaitStart(1);
  held.Release(1);
  held.Release(0);
  left.Wait();
  EXPECT_EQ(engine_->stats().sync_count, syncs_before + 2);
}

// An answer that comes as its record becomes durable belongs to no flush any more.
TEST_F(CommitQueueTest, NoAnswerIsLostBetweenFlushes) {
  OpenInUse({});
  std::vector<std::thread> writers;
  for (int writer = 0; writer < 6; ++writer) {
    writers.emplace_back([this, writer] {
      const std::string key = absl::StrCat("key", writer);
      for (int i = 0; i < 500; ++i) {
        const storage::Lsn lsn = Put(key);
        EXPECT_OK(writer % 2 == 0 ? Await(lsn) : queue_->AwaitDurable(lsn));
        EXPECT_GE(engine_->durable_lsn(), lsn);
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(engine_->durable_lsn(), engine_->appended_lsn());
}

TEST_F(CommitQueueTest, AThreadWaitsForTheFlushThatHasItsRecordAndNoOther) {
  // Whether the threads come before the flush ends is up to the system: often enough, they do.
  for (int turn = 0; turn < 50; ++turn) {
    OpenInUse({});
    const uint64_t syncs_before = engine_->stats().sync_count;
    HeldWrites held(&disk_);
    const storage::Lsn early = Put("key");
    absl::Notification answered;
    queue_->RunWhenDurable(Put("key"), [&answered](const absl::Status&) { answered.Notify(); });
    held.AwaitStart(0);
    // One record behind the two that are under way is no reason for a second flush yet.
    const storage::Lsn late = Put("key");
    std::array<absl::Notification, 2> started;
    std::array<std::thread, 2> threads;
    for (const size_t i : {0, 1}) {
      threads[i] = std::thread([this, &started, i, lsn = i == 0 ? late : early] {
        started[i].Notify();
        EXPECT_OK(queue_->AwaitDurable(lsn));
        EXPECT_GE(engine_->durable_lsn(), lsn);
      });
      started[i].WaitForNotification();
      std::this_thread::yield();
    }
    held.Release(0);
    threads[1].join();
    answered.WaitForNotification();
    held.Release(1);
    threads[0].join();
    EXPECT_LE(engine_->stats().sync_count, syncs_before + 2);
    queue_.reset();
    engine_.reset();
  }
}

TEST_F(CommitQueueTest, StopMakesDurableWhatAThreadWaitsFor) {
  for (int turn = 0; turn < 50; ++turn) {
    OpenInUse({});
    HeldWrites held(&disk_);
    absl::Notification answered;
    queue_->RunWhenDurable(Put("key"), [&answered](const absl::Status&) { answered.Notify(); });
    held.AwaitStart(0);
    const storage::Lsn lsn = Put("key");
    std::thread waiter([this, lsn] { EXPECT_OK(queue_->AwaitDurable(lsn)); });
    // The second flush starts once the thread waits.
    held.AwaitStart(1);
    std::thread stopper([this] { queue_->Stop(); });
    held.Release(0);
    held.Release(1);
    waiter.join();
    stopper.join();
    answered.WaitForNotification();
    queue_.reset();
    engine_.reset();
  }
}

TEST_F(CommitQueueTest, StopAnswersWhatWaits) {
  Open({});
  const storage::Lsn lsn = Put("key");
  absl::Status status = absl::UnknownError("not answered");
  queue_->RunWhenDurable(lsn, [&status](const absl::Status& answer) { status = answer; });
  queue_->Stop();
  EXPECT_OK(status);
}

TEST_F(CommitQueueTest, FailureIsTheAnswerToAllAndIsReported) {
  OpenInUse({});
  disk_.InjectFault({.operation = MemoryFileSystem::Operation::kSyncData, .lasting = true});
  const storage::Lsn lsn = Put("key");
  // The thread first, as it makes the flush that fails; then what has failed already.
  for (const bool is_thread : {true, false, true}) {
    const absl::Status status = is_thread ? queue_->AwaitDurable(lsn) : Await(lsn);
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kUnavailable));
    EXPECT_EQ(base::ReasonOf(status), base::kReasonEngineFailed);
  }
  failed_.WaitForNotification();
}

TEST_F(CommitQueueTest, WeakerPoliciesAnswerAtOnce) {
  Open({.sync = SyncPolicy::kInterval, .interval = absl::Hours(1)});
  const storage::Lsn lsn = Put("key");
  bool answered = false;
  queue_->RunWhenDurable(lsn, [&answered](const absl::Status& status) { answered = status.ok(); });
  EXPECT_TRUE(answered);
  EXPECT_OK(queue_->AwaitDurable(lsn));
  EXPECT_LT(engine_->durable_lsn(), engine_->appended_lsn());
}

TEST_F(CommitQueueTest, WritesOutBeforeTheIntervalWhenMuchIsAppended) {
  OpenInUse(
      {.sync = SyncPolicy::kInterval, .interval = absl::Hours(1), .write_bytes_target = 1000});
  disk_.InjectFault({.operation = MemoryFileSystem::Operation::kWrite, .lasting = true});
  Put("key");
  queue_->NoteAppended(999);
  EXPECT_FALSE(failed_.HasBeenNotified());
  queue_->NoteAppended(1);
  // The write that it leads to is seen by its failure.
  failed_.WaitForNotification();
}

}  // namespace
}  // namespace slipstream::node
