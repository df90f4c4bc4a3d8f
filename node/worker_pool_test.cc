#include "node/worker_pool.h"

#include <atomic>

#include "absl/status/status.h"
#include "absl/synchronization/barrier.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/notification.h"
#include "base/error_reason.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace slipstream::node {
namespace {

using base::testing::StatusIs;

TEST(WorkerPoolTest, RunsTasksOnAllItsThreads) {
  WorkerPool pool({.thread_count = 2});
  // Neither task ends before both have begun.
  absl::Barrier* const both = new absl::Barrier(2);
  absl::BlockingCounter ended(2);
  for (int i = 0; i < 2; ++i) {
    EXPECT_OK(pool.Submit([both, &ended] {
      if (both->Block()) delete both;
      ended.DecrementCount();
    }));
  }
  ended.Wait();
}

TEST(WorkerPoolTest, BoundsWhatWaits) {
  WorkerPool pool({.thread_count = 1, .queued_tasks_max = 1});
  absl::Notification begun;
  absl::Notification go_on;
  EXPECT_OK(pool.Submit([&] {
    begun.Notify();
    go_on.WaitForNotification();
  }));
  begun.WaitForNotification();
  EXPECT_OK(pool.Submit([] {}));
  const absl::Status status = pool.Submit([] {});
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_EQ(base::ReasonOf(status), base::kReasonTooBusy);
  go_on.Notify();
}

TEST(WorkerPoolTest, StopRunsWhatWaitsAndRefusesMore) {
  WorkerPool pool({.thread_count = 1});
  std::atomic<int> run_count = 0;
  for (int i = 0; i < 100; ++i) EXPECT_OK(pool.Submit([&run_count] { run_count.fetch_add(1); }));
  pool.Stop();
  EXPECT_EQ(run_count.load(), 100);
  EXPECT_EQ(base::ReasonOf(pool.Submit([] {})), base::kReasonDraining);
}

}  // namespace
}  // namespace slipstream::node
