// The engine under several threads; run with --config=tsan as well.

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/check.h"
#include "base/key_id.h"
#include "base/random.h"
#include "base/testing/status_matchers.h"
#include "gtest/gtest.h"
#include "storage/engine.h"
#include "storage/entry.h"
#include "storage/keydir.h"
#include "storage/memory_file_system.h"
#include "storage/options.h"
#include "storage/segment.h"
#include "storage/testing/small_store.h"

namespace slipstream::storage {
namespace {

using testing::AllEntries;
using testing::Noon;
using testing::SmallOptions;

class EngineThreadsTest : public ::testing::Test {
 protected:
  MemoryFileSystem fs_;
  base::Random rng_{1};
  Options options_ = SmallOptions();
};

// Room that EnsureRoom found may be taken by another writer before the append: the dot that was
// drawn for the append that failed must be given again, or the sequence has a hole for ever.
TEST_F(EngineThreadsTest, WriterThatLostItsRoomToAnotherLeavesNoGapInTheDots) {
  options_.unflushed_bytes_max = 1 << 20;     // A flush would seal frames before they are full.
  options_.compression = Compression::kNone;  // Or the records would not fill the segment.
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Engine> engine,
                       Engine::Open(&fs_, "/race", options_, &rng_, nullptr));
  const std::string value(1024, 'v');
  const auto put = [&](absl::string_view key) {
    const Mutation mutation{.key = key, .value = value};
    const absl::StatusOr<WriteResult> result = engine->Write({mutation}, Atomicity::kEach, Noon());
    SLIP_CHECK_OK(result.status());
    return result->sequences[0];
  };
  // Nine such records, three to a frame, fill a segment to where a tenth does not fit.
  constexpr int kRecordsPerSegment = 9;
  ASSERT_NE(StripeOf(base::KeyIdOf("held").shard()), StripeOf(base::KeyIdOf("filler").shard()));
  ASSERT_EQ(put("held"), 1u);
  for (int i = 1; i < kRecordsPerSegment; ++i) put("filler");
  uint64_t sequence = 0;
  std::thread writer;
  const base::KeyId held = base::KeyIdOf("held");
  ASSERT_OK(engine->VisitEntries({.first = held, .last = held}, [&](const Entry&) {
    // This holds the stripe of "held": its writer makes room, a segment, and then has to wait.
    writer = std::thread([&] { sequence = put("held"); });
    const auto has_second = [&] {
      const std::vector<std::string> names = *fs_.ListDirectory("/race");
      return std::find(names.begin(), names.end(), SegmentFileName(2)) != names.end();
    };
    while (!has_second()) std::this_thread::yield();
    std::thread([&] {
      for (int i = 0; i < kRecordsPerSegment; ++i) put("filler");
    }).join();
    return true;
  }));
  writer.join();
  EXPECT_EQ(sequence, 2u);
  EXPECT_EQ(put("held"), 3u);
}

// Writers, readers, a flusher and a maintainer at once; then the account must be exact.
TEST_F(EngineThreadsTest, ThreadsWriteReadFlushAndMaintainAtOnce) {
  options_.segment_bytes = 1 << 20;
  options_.frame_bytes_target = 16384;
  options_.unflushed_bytes_max = 65536;
  options_.compaction_dead_share = 1;  // Its copies would take LSNs.
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Engine> engine,
                       Engine::Open(&fs_, "/threads", options_, &rng_, nullptr));
  constexpr int kWriterCount = 3;
  constexpr int kWriteCount = 400;
  std::atomic<bool> done{false};
  std::vector<std::thread> writers;
  for (int writer = 0; writer < kWriterCount; ++writer) {
    writers.emplace_back([&, writer] {
      for (int i = 0; i < kWriteCount; ++i) {
        const std::string left = absl::StrCat("left", writer, "-", i % 50);
        const std::string right = absl::StrCat("right", writer, "-", i % 50);
        const std::string value = absl::StrCat(i);
        const std::vector<Mutation> pair = {{.key = left, .value = value},
                                            {.key = right, .value = value}};
        SLIP_CHECK_OK(engine->Write(pair, Atomicity::kAll, Noon()).status());
        SLIP_CHECK(engine->Get(left, Noon())->value == value);
      }
    });
  }
  std::thread flusher([&] {
    while (!done) SLIP_CHECK_OK(engine->Flush(Engine::FlushMode::kSync).status());
  });
  std::thread maintainer([&] {
    while (!done) {
      SLIP_CHECK_OK(engine->Maintain().status());
      AllEntries(*engine);
      engine->stats();
    }
  });
  for (std::thread& writer : writers) writer.join();
  done = true;
  flusher.join();
  maintainer.join();
  ASSERT_OK(engine->Close());
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Engine> again,
                       Engine::Open(&fs_, "/threads", options_, &rng_, nullptr));
  EXPECT_EQ(again->appended_lsn(), Lsn{kWriterCount * kWriteCount * 3});
  EXPECT_EQ(again->stats().live_key_count, uint64_t{kWriterCount * 100});
  for (int writer = 0; writer < kWriterCount; ++writer) {
    for (int i = kWriteCount - 50; i < kWriteCount; ++i) {
      for (const char* side : {"left", "right"}) {
        ASSERT_OK_AND_ASSIGN(const ReadResult read,
                             again->Get(absl::StrCat(side, writer, "-", i % 50), Noon()));
        EXPECT_EQ(read.value, absl::StrCat(i));
      }
    }
  }
}

}  // namespace
}  // namespace slipstream::storage
