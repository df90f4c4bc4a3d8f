// Transactions of several threads on few keys, with records of another node coming in: whatever
// committed must be what running them one after the other, in the order of the log, gives. Run with
// --config=tsan as well.

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/random.h"
#include "base/testing/status_matchers.h"
#include "base/version.h"
#include "gtest/gtest.h"
#include "storage/engine.h"
#include "storage/entry.h"
#include "storage/memory_file_system.h"
#include "storage/options.h"
#include "storage/testing/small_store.h"
#include "storage/transaction.h"

namespace slipstream::storage {
namespace {

using testing::Noon;
using testing::SmallOptions;

constexpr uint64_t kKeyCount = 6;
constexpr int kThreadCount = 3;
// Committed, of each thread: so many, and more, up to a bound, until some have met.
constexpr size_t kTransactionCount = 400;
constexpr size_t kTransactionCountMax = 10 * kTransactionCount;

// The values of keys; "" for those that are absent.
using State = std::map<std::string, std::string>;

// What one committed transaction, or one applied record, did.
struct Committed {
  Lsn lsn = 0;  // Of its last record; 0 if it wrote nothing.
  State reads;
  State writes;
};

bool Agrees(const State& reads, const State& state) {
  return std::all_of(reads.begin(), reads.end(), [&](const auto& read) {
    const auto found = state.find(read.first);
    return read.second == (found == state.end() ? "" : found->second);
  });
}

// Whether transactions stream what they write to the log: nearly all that write more than a little.
class TransactionThreadsTest : public ::testing::TestWithParam<bool> {
 protected:
  TransactionThreadsTest() {
    if (GetParam()) {
      options_.limits.key_bytes_max = 16;
      options_.limits.value_bytes_max = 16;
      options_.limits.batch_bytes_max = 32;
      options_.limits.transaction_buffer_bytes = 32;
    }
    options_.segment_bytes = 1 << 20;
    options_.frame_bytes_target = 65536;
    options_.unflushed_bytes_max = 1 << 20;
  }

  void Open() {
    ASSERT_OK_AND_ASSIGN(engine_, Engine::Open(&fs_, "/threads", options_, &rng_, nullptr));
    const Mutation first{.key = "first", .value = ""};  // So that the clock stands somewhere.
    ASSERT_OK(engine_->Write({first}, Atomicity::kEach, Noon()));
  }

  // Tries one transaction; returns whether it committed.
  bool TryOne(base::Random& rng, const std::string& id, Committed& done) {
    Transaction transaction = Transaction::Begin(engine_.get(), Noon());
    const uint64_t step_count = 1 + rng.Below(5);
    for (uint64_t step = 0; step < step_count; ++step) {
      const std::string key = absl::StrCat("key", rng.Below(kKeyCount));
      if (rng.Below(2) == 0) {
        const bool own = done.writes.count(key) != 0;
        const absl::StatusOr<ReadResult> read = transaction.Get(key);
        if (absl::IsAborted(read.status())) return false;
        SLIP_CHECK_OK(read.status());
        if (!own) done.reads[key] = read->value;
        SLIP_CHECK(!own || read->value == done.writes[key]);
      } else if (rng.Below(4) == 0) {
        SLIP_CHECK_OK(transaction.Delete(key));
        done.writes[key] = "";
      } else {
        done.writes[key] = absl::StrCat(id, ".", step);
        SLIP_CHECK_OK(transaction.Put(key, done.writes[key]));
      }
    }
    const absl::StatusOr<WriteResult> result = transaction.Commit(Noon());
    if (absl::IsAborted(result.status())) return false;
    SLIP_CHECK_OK(result.status());
    if (!done.writes.empty()) done.lsn = result->lsn;
    return true;
  }

  MemoryFileSystem fs_;
  base::Random rng_{1};
  Options options_ = SmallOptions();
  std::unique_ptr<Engine> engine_;
};

TEST_P(TransactionThreadsTest, CommittedOnesAreEquivalentToTheirOrderInTheLog) {
  Open();
  std::vector<std::vector<Committed>> done(kThreadCount + 1);
  std::atomic<int> conflict_count{0};
  std::atomic<uint64_t> try_count{0};
  std::atomic<bool> over{false};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreadCount; ++thread) {
    threads.emplace_back([&, thread] {
      base::Random rng(static_cast<uint64_t>(thread) + 1);
      const auto goes_on = [&](size_t count) {
        return count < kTransactionCount || (conflict_count == 0 && count < kTransactionCountMax);
      };
      while (goes_on(done[thread].size())) {
        Committed one;
        ++try_count;
        if (TryOne(rng, absl::StrCat(thread, ".", done[thread].size()), one)) {
          done[thread].push_back(std::move(one));
        } else {
          ++conflict_count;
        }
      }
    });
  }
  // Another node's records: versions now below and now above this node's clock.
  std::thread peer([&] {
    base::Random rng(99);
    for (uint64_t sequence = 1; !over; ++sequence) {
      while (sequence > try_count && !over) std::this_thread::yield();
      const Record record{
          .key = absl::StrCat("key", rng.Below(kKeyCount)),
          .value = absl::StrCat("peer.", sequence),
          .version = {.hlc = engine_->last_hlc() + 2 - rng.Below(4), .actor = base::ActorId{7}},
          .sequence = sequence};
      const absl::StatusOr<WriteResult> result = engine_->Apply({record}, Atomicity::kEach, Noon());
      SLIP_CHECK_OK(result.status());
      if (result->applied_count == 0) continue;
      done[kThreadCount].push_back(
          {.lsn = result->lsn, .reads = {}, .writes = {{record.key, record.value}}});
    }
  });
  for (std::thread& thread : threads) thread.join();
  over = true;
  peer.join();

  std::vector<Committed> writers;
  std::vector<Committed> readers;
  for (std::vector<Committed>& some : done) {
    for (Committed& one : some) (one.lsn != 0 ? writers : readers).push_back(std::move(one));
  }
  std::sort(writers.begin(), writers.end(),
            [](const Committed& left, const Committed& right) { return left.lsn < right.lsn; });
  std::vector<State> states(1);
  for (const Committed& one : writers) {
    ASSERT_TRUE(Agrees(one.reads, states.back())) << "LSN " << one.lsn;
    states.push_back(states.back());
    for (const auto& [key, value] : one.writes) states.back()[key] = value;
  }
  for (const Committed& one : readers) {
    ASSERT_TRUE(std::any_of(states.begin(), states.end(),
                            [&](const State& state) { return Agrees(one.reads, state); }));
  }
  for (const auto& [key, value] : states.back()) {
    ASSERT_OK_AND_ASSIGN(const ReadResult read, engine_->Get(key, Noon()));
    EXPECT_EQ(read.value, value);
  }
  std::printf("%zu writers, %zu readers, %d conflicts\n", writers.size(), readers.size(),
              conflict_count.load());
  EXPECT_GT(conflict_count, 0);
}

// Also those that are going to fail must not see half of a batch: neither of one of this node nor
// of one that comes in late from another.
TEST_P(TransactionThreadsTest, NoneSeesHalfOfABatchEvenBeforeItCommits) {
  Open();
  std::atomic<bool> over{false};
  std::atomic<uint64_t> try_count{0};
  // Some writes to each try, so that the log stays small on a machine that favours the writers.
  const auto await_turn = [&](uint64_t write_count) {
    while (write_count > 4 * try_count && !over) std::this_thread::yield();
  };
  std::thread writer([&] {
    for (uint64_t i = 0; !over; ++i) {
      await_turn(i);
      const std::string value = absl::StrCat(i);
      const std::vector<Mutation> pair = {{.key = "left", .value = value},
                                          {.key = "right", .value = value}};
      SLIP_CHECK_OK(engine_->Write(pair, Atomicity::kAll, Noon()).status());
    }
  });
  std::thread peer([&] {
    for (uint64_t i = 1; !over; ++i) {
      await_turn(i);
      const Record left{.key = "late left",
                        .value = absl::StrCat(i),
                        .version = {.hlc = i, .actor = base::ActorId{7}},
                        .sequence = i};
      Record right = left;
      right.key = "late right";
      SLIP_CHECK_OK(engine_->Apply({left, right}, Atomicity::kAll, Noon()).status());
    }
  });
  int seen_count = 0;
  for (int i = 0; i < 20'000 || seen_count < 100; ++i) {
    ++try_count;
    const std::string prefix = i % 2 == 0 ? "" : "late ";
    Transaction transaction = Transaction::Begin(engine_.get(), Noon());
    const absl::StatusOr<ReadResult> left = transaction.Get(prefix + "left");
    if (!left.ok()) continue;
    const absl::StatusOr<ReadResult> right = transaction.Get(prefix + "right");
    if (!right.ok()) continue;
    EXPECT_EQ(left->value, right->value);
    ++seen_count;
    if (HasFailure()) break;
  }
  over = true;
  writer.join();
  peer.join();
}

// The same of transactions that take several frames and segments, while these are flushed and
// compacted.
TEST_P(TransactionThreadsTest, NoneSeesHalfOfALargeOne) {
  options_ = SmallOptions();
  options_.compression = Compression::kNone;
  if (GetParam()) options_.limits.transaction_buffer_bytes = options_.limits.batch_bytes_max;
  Open();
  constexpr int kLargeCount = 60;  // Of each writer.
  constexpr int kLargeKeyCount = 12;
  std::vector<std::thread> writers;
  for (int thread = 0; thread < 2; ++thread) {
    writers.emplace_back([&, thread] {
      for (int i = 0; i < kLargeCount; ++i) {
        const std::string value = absl::StrCat(thread, ".", i, std::string(900, '.'));
        Transaction transaction = Transaction::Begin(engine_.get(), Noon());
        for (int key = 0; key < kLargeKeyCount; ++key) {
          SLIP_CHECK_OK(transaction.Put(absl::StrCat("key", key), value));
        }
        SLIP_CHECK_OK(transaction.Commit(Noon()).status());
      }
    });
  }
  std::atomic<bool> over{false};
  std::thread owner([&] {
    while (!over) {
      SLIP_CHECK_OK(engine_->Flush(Engine::FlushMode::kSync).status());
      SLIP_CHECK_OK(engine_->Maintain().status());
    }
  });
  std::thread reader([&] {
    while (!over) {
      Transaction transaction = Transaction::Begin(engine_.get(), Noon());
      const absl::StatusOr<ReadResult> first = transaction.Get("key0");
      if (!first.ok()) continue;
      const absl::StatusOr<ReadResult> last = transaction.Get("key11");
      if (last.ok()) EXPECT_EQ(first->value, last->value);
    }
  });
  for (std::thread& writer : writers) writer.join();
  over = true;
  owner.join();
  reader.join();
  ASSERT_OK(engine_->Flush(Engine::FlushMode::kSync));
  EXPECT_EQ(engine_->durable_lsn(), engine_->appended_lsn());
  EXPECT_GE(engine_->durable_lsn(), 2u * kLargeCount * (kLargeKeyCount + 1));
}

INSTANTIATE_TEST_SUITE_P(Ways, TransactionThreadsTest, ::testing::Bool(),
                         [](const ::testing::TestParamInfo<bool>& info) {
                           return info.param ? "Streamed" : "AtOnce";
                         });

}  // namespace
}  // namespace slipstream::storage
