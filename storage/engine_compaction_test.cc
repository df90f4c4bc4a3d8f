// Compaction from the outside: space settles, and nothing that a dropped record had is given again.
// Random courses: engine_model_test.cc. Crashes: engine_crash_test.cc. Full disks and damage:
// engine_compaction_fault_test.cc.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/key_id.h"
#include "base/random.h"
#include "base/testing/status_matchers.h"
#include "base/version.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/engine.h"
#include "storage/entry.h"
#include "storage/keydir_shard.h"
#include "storage/manifest.h"
#include "storage/memory_file_system.h"
#include "storage/options.h"
#include "storage/record.h"
#include "storage/testing/log_scan.h"
#include "storage/testing/small_store.h"

namespace slipstream::storage {
namespace {

using testing::AllEntries;
using testing::kDirectory;
using testing::Noon;
using testing::ScanLog;
using testing::SegmentNumbers;
using testing::SmallOptions;

class EngineCompactionTest : public ::testing::Test {
 protected:
  EngineCompactionTest() { options_.compaction_step_bytes = 1000; }

  void Open() {
    engine_.reset();
    ASSERT_OK_AND_ASSIGN(engine_, Engine::Open(&fs_, kDirectory, options_, &rng_, nullptr));
  }

  absl::StatusOr<WriteResult> Put(absl::string_view key, absl::string_view value,
                                  absl::Time now = Noon()) {
    const Mutation put{.key = key, .value = value};
    return engine_->Write({put}, Atomicity::kEach, now);
  }

  void Sync() { ASSERT_OK(engine_->Flush(Engine::FlushMode::kSync)); }

  // Takes steps until there is no more to do.
  void Settle() {
    for (int step = 0; step < 100'000; ++step) {
      const absl::StatusOr<bool> more = engine_->Maintain();
      ASSERT_OK(more);
      if (!*more) return;
    }
    FAIL() << "compaction does not come to rest";
  }

  // Fills a segment or two with records of no interest, which are then replaced.
  void Fill() {
    for (int i = 0; i < 60; ++i) {
      ASSERT_OK(Put("filler", rng_.Bytes(600)));
      Sync();
    }
  }

  MemoryFileSystem fs_;
  base::Random rng_{1};
  Options options_ = SmallOptions();
  std::unique_ptr<Engine> engine_;
};

class SpaceTest : public EngineCompactionTest {
 protected:
  static constexpr int kKeyCount = 5000;

  SpaceTest() {
    options_.limits.batch_operations_max = 100;
    options_.limits.batch_bytes_max = 16 << 10;
    options_.segment_bytes = 64 << 10;
    options_.frame_bytes_target = 32 << 10;
    options_.compaction_step_bytes = 16 << 10;
    options_.unflushed_bytes_max = 64 << 10;
    options_.compression = Compression::kNone;
  }

  uint64_t LiveBytes() {
    uint64_t live_bytes = 0;
    for (const Entry& entry : AllEntries(*engine_)) live_bytes += entry.record_bytes;
    return live_bytes;
  }

  // Overwrites all keys in a random order, syncing after each `per_sync` puts.
  void OverwriteAll(int per_sync) {
    std::vector<int> order(kKeyCount);
    for (int i = 0; i < kKeyCount; ++i) order[static_cast<size_t>(i)] = i;
    for (size_t i = order.size() - 1; i > 0; --i) std::swap(order[i], order[rng_.Below(i + 1)]);
    for (int i = 0; i < kKeyCount; ++i) {
      ASSERT_OK(Put(absl::StrCat("key", order[static_cast<size_t>(i)]), rng_.Bytes(900)));
      if (i % per_sync != 0) continue;
      Sync();
      ASSERT_OK(engine_->Maintain());
    }
  }

  void ExpectSettled(absl::string_view what) {
    Settle();
    const EngineStats stats = engine_->stats();
    const double live_bytes = static_cast<double>(LiveBytes());
    std::printf("%s: %.3f times the live bytes, write amplification %.2f\n",
                std::string(what).c_str(), static_cast<double>(stats.log_bytes) / live_bytes,
                static_cast<double>(stats.appended_bytes + stats.copied_bytes) /
                    static_cast<double>(std::max<uint64_t>(1, stats.appended_bytes)));
    EXPECT_LE(static_cast<double>(stats.log_bytes), 1.3 * live_bytes);
    EXPECT_EQ(stats.compaction_debt_bytes, 0u);
    EXPECT_EQ(stats.failed_segment_count, 0u);
  }
};

TEST_F(SpaceTest, SettlesUnder1Point3TimesTheLiveBytesAfterOverwritingAllThreeTimes) {
  Open();
  for (int round = 0; round < 4; ++round) OverwriteAll(20);
  ExpectSettled("overwritten");
}

// Half of the dead share, once nobody has written for a while; a write puts an end to it.
TEST_F(SpaceTest, SettlesFurtherWhereNobodyWrites) {
  Open();
  for (int round = 0; round < 3; ++round) OverwriteAll(20);
  Settle();
  Sync();
  Settle();
  for (size_t i = 2; i < Engine::kRestCalls; ++i) ASSERT_OK(engine_->Maintain());
  ASSERT_OK(Put("key0", "a write"));
  Sync();
  const uint64_t log_bytes = engine_->stats().log_bytes;
  for (size_t i = 0; i < Engine::kRestCalls; ++i) {
    ASSERT_OK_AND_ASSIGN(const bool more, engine_->Maintain());
    ASSERT_FALSE(more) << i;
  }
  EXPECT_EQ(engine_->stats().log_bytes, log_bytes);
  Settle();
  const EngineStats stats = engine_->stats();
  const uint64_t live_bytes = LiveBytes();
  std::printf("at rest: %.3f times the live bytes, before %.3f\n",
              static_cast<double>(stats.log_bytes) / static_cast<double>(live_bytes),
              static_cast<double>(log_bytes) / static_cast<double>(live_bytes));
  EXPECT_GT(static_cast<double>(log_bytes), 1.25 * static_cast<double>(live_bytes));
  EXPECT_LE(static_cast<double>(stats.log_bytes), 1.18 * static_cast<double>(live_bytes));
  const uint64_t copied_bytes = stats.copied_bytes;
  for (size_t i = 0; i < 2 * Engine::kRestCalls; ++i) ASSERT_OK(engine_->Maintain());
  EXPECT_EQ(engine_->stats().copied_bytes, copied_bytes);
}

TEST_F(SpaceTest, SettlesThoughEachPutWasSyncedIntoAPageOfItsOwn) {
  Open();
  for (int round = 0; round < 2; ++round) OverwriteAll(1);
  ExpectSettled("synced one by one");
  Open();
  ExpectSettled("reopened");
}

TEST_F(EngineCompactionTest, ComesToRestWhereNoPackingReachesTheDeadShare) {
  // Of a segment of 16 KiB a quarter is its header page; a record of 2.2 KiB has a page to itself.
  options_.limits.value_bytes_max = 2200;
  options_.limits.batch_bytes_max = 4096;
  options_.segment_bytes = 20480;
  Open();
  for (int i = 0; i < 40; ++i) {
    ASSERT_OK(Put(absl::StrCat("key", i), rng_.Bytes(2200)));
    Sync();
    ASSERT_OK(engine_->Maintain());
  }
  Settle();
  const uint64_t copied_bytes = engine_->stats().copied_bytes;
  EXPECT_LT(copied_bytes, 40u * 3000u);
  // Nothing died since: nothing to do.
  Settle();
  EXPECT_EQ(engine_->stats().copied_bytes, copied_bytes);
}

TEST_F(EngineCompactionTest, StepCopiesNoMoreThanItMay) {
  options_.compaction_step_bytes = 100;
  Open();
  for (int i = 0; i < 30; ++i) ASSERT_OK(Put(absl::StrCat("key", i), "a small value"));
  Fill();
  uint64_t copied_bytes = 0;
  int copying_step_count = 0;
  for (bool more = true; more;) {
    ASSERT_OK_AND_ASSIGN(more, engine_->Maintain());
    const uint64_t step_bytes = engine_->stats().copied_bytes - copied_bytes;
    // Up to the bound, and one record beyond.
    ASSERT_LT(step_bytes, 100u + 700u);
    if (step_bytes != 0) ++copying_step_count;
    copied_bytes += step_bytes;
  }
  EXPECT_GT(copying_step_count, 10);
}

TEST_F(EngineCompactionTest, CopiesKeepAllOfARecordAndItsStoredBytes) {
  options_.compression = Compression::kLz4;
  Open();
  const std::string text(900, 'z');
  const Mutation put{.key = "packed", .value = text, .expires_at_ms = 1'800'000'000'000};
  const Mutation other{.key = "other", .value = "of the batch"};
  ASSERT_OK(engine_->Write({put, other}, Atomicity::kAll, Noon()));
  ASSERT_OK_AND_ASSIGN(const Record before, engine_->GetRecord(base::KeyIdOf("packed"), nullptr));
  Fill();
  Settle();
  ASSERT_GT(engine_->stats().compacted_segment_count, 0u);
  std::vector<RecordHeader> found;
  Sync();
  ScanLog(fs_, [&found](const RecordView& record, const Location&) {
    if (record.key == "packed") found.push_back(record.header);
  });
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].codec, Codec::kLz4);
  EXPECT_EQ(found[0].tx_id, 0u);
  Open();
  ASSERT_OK_AND_ASSIGN(const Record after, engine_->GetRecord(base::KeyIdOf("packed"), nullptr));
  EXPECT_EQ(after, before);
}

// A listener that counts.
class Counter : public ChangeObserver {
 public:
  void OnChange(const base::KeyId&) override { ++count; }
  int count = 0;
};

TEST_F(EngineCompactionTest, MovedRecordsAreNoChangeToTheObserver) {
  Counter counter;
  ASSERT_OK_AND_ASSIGN(engine_, Engine::Open(&fs_, kDirectory, options_, &rng_, &counter));
  ASSERT_OK(Put("kept", "value"));
  Fill();
  const int count = counter.count;
  Settle();
  EXPECT_GT(engine_->stats().copied_bytes, 0u);
  EXPECT_EQ(counter.count, count);
}

TEST_F(EngineCompactionTest, TombstonesAndExpiredRecordsAreKept) {
  Open();
  ASSERT_OK(engine_->Write({Mutation{.kind = Mutation::Kind::kDelete, .key = "gone"}},
                           Atomicity::kEach, Noon()));
  ASSERT_OK(engine_->Write({Mutation{.key = "expired", .value = "v", .expires_at_ms = 1}},
                           Atomicity::kEach, Noon()));
  Fill();
  Settle();
  EXPECT_GT(SegmentNumbers(fs_).front(), 1u);
  Open();
  ASSERT_OK_AND_ASSIGN(const Record gone, engine_->GetRecord(base::KeyIdOf("gone"), nullptr));
  EXPECT_TRUE(gone.tombstone);
  ASSERT_OK_AND_ASSIGN(const Record expired, engine_->GetRecord(base::KeyIdOf("expired"), nullptr));
  EXPECT_EQ(expired.value, "v");
}

TEST_F(EngineCompactionTest, DotsOfDroppedRecordsAreNotGivenAgain) {
  Open();
  ASSERT_OK(Put("key", "first"));
  ASSERT_OK_AND_ASSIGN(const WriteResult last, Put("key", "second"));
  EXPECT_EQ(last.sequences[0], 2u);
  // Another actor's record replaces the one with the last dot.
  const Record foreign{.key = "key",
                       .value = "theirs",
                       .version = {.hlc = last.versions[0].hlc, .actor = base::ActorId{UINT64_MAX}},
                       .sequence = 9};
  ASSERT_OK(engine_->Apply({foreign}, Atomicity::kEach, Noon()));
  Fill();
  Settle();
  uint64_t own_count = 0;
  Sync();
  ScanLog(fs_, [&own_count](const RecordView& record, const Location&) {
    if (record.key == "key" && record.header.actor != UINT64_MAX) ++own_count;
  });
  ASSERT_EQ(own_count, 0u);
  const base::ActorId actor = engine_->actor();
  Open();
  EXPECT_EQ(engine_->actor(), actor);
  ASSERT_OK_AND_ASSIGN(const WriteResult next, Put("key", "third"));
  EXPECT_EQ(next.sequences[0], 3u);
}

TEST_F(EngineCompactionTest, DotsThatACrashTookBackLeaveNoGap) {
  Open();
  Fill();
  uint64_t last_sequence = 0;
  for (int i = 0; i < 200; ++i) {
    ASSERT_OK_AND_ASSIGN(const WriteResult result, Put("key", absl::StrCat(i)));
    last_sequence = result.sequences[0];
    ASSERT_OK(engine_->Maintain());
  }
  ASSERT_GT(engine_->stats().compacted_segment_count, 0u);
  engine_.reset();
  fs_.CrashKeeping([](size_t) { return false; });
  Open();
  ASSERT_OK_AND_ASSIGN(const Record kept, engine_->GetRecord(base::KeyIdOf("key"), nullptr));
  EXPECT_LT(kept.sequence, last_sequence);
  ASSERT_OK_AND_ASSIGN(const WriteResult next, Put("key", "next"));
  EXPECT_EQ(next.sequences[0], kept.sequence + 1);
}

TEST_F(EngineCompactionTest, TransactionNumbersOfDroppedRecordsAreNotGivenAgain) {
  Open();
  const auto batch = [this] {
    ASSERT_OK(engine_->Write({Mutation{.key = "a", .value = "1"}, Mutation{.key = "b"}},
                             Atomicity::kAll, Noon()));
    Sync();
  };
  const auto last_tx_id = [this] {
    uint64_t last = 0;
    ScanLog(fs_, [&last](const RecordView& record, const Location&) {
      last = std::max(last, record.header.tx_id);
    });
    return last;
  };
  for (int i = 0; i < 5; ++i) batch();
  EXPECT_EQ(last_tx_id(), 5u);
  ASSERT_OK(Put("a", "alone"));
  ASSERT_OK(Put("b", "alone"));
  Fill();
  Settle();
  EXPECT_EQ(last_tx_id(), 0u);
  Open();
  batch();
  EXPECT_EQ(last_tx_id(), 6u);
}

TEST_F(EngineCompactionTest, ManifestHoldsTheGreatestHlc) {
  Open();
  ASSERT_OK(Put("key", "ahead", Noon() + absl::Hours(10)));
  Fill();
  Settle();
  Sync();
  ASSERT_OK_AND_ASSIGN(const Manifest manifest, ReadManifest(&fs_, kDirectory));
  EXPECT_EQ(manifest.header.last_hlc, engine_->last_hlc());
  EXPECT_EQ(manifest.header.node_id, engine_->node_id());
  // As if no record of it were left.
  Manifest ahead = manifest;
  ahead.header.last_hlc = base::HlcFromTime(Noon() + absl::Hours(20));
  engine_.reset();
  ASSERT_OK(WriteManifest(&fs_, kDirectory, ahead));
  Open();
  ASSERT_OK_AND_ASSIGN(const WriteResult result, Put("key", "next"));
  EXPECT_GT(result.versions[0].hlc, ahead.header.last_hlc);
}

TEST_F(EngineCompactionTest, ReadsGoOnWhileSegmentsAreDropped) {
  options_.value_cache_bytes = 0;
  Open();
  constexpr int kKeys = 8;
  for (int i = 0; i < kKeys; ++i) ASSERT_OK(Put(absl::StrCat("key", i), absl::StrCat(i, ":")));
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> read_count{0};
  std::vector<std::thread> threads;
  for (uint64_t reader = 0; reader < 2; ++reader) {
    threads.emplace_back([&, reader] {
      base::Random rng(reader);
      while (!stop) {
        const uint64_t key = rng.Below(kKeys);
        const absl::StatusOr<ReadResult> read = engine_->Get(absl::StrCat("key", key), Noon());
        ASSERT_TRUE(read.ok() && read->found);
        ASSERT_EQ(read->value.substr(0, 2), absl::StrCat(key, ":"));
        ++read_count;
      }
    });
  }
  threads.emplace_back([&] {
    while (!stop) ASSERT_OK(engine_->Maintain());
  });
  base::Random rng(9);
  // Until enough was compacted beside it, however the system shares out its cores.
  const auto compacts = [this] { return engine_->stats().compacted_segment_count > 10; };
  for (int i = 0; (i < 3000 || !compacts()) && !HasFailure(); ++i) {
    // Some keys stay, and are moved again and again.
    const uint64_t key = 4 + rng.Below(kKeys - 4);
    ASSERT_OK(Put(absl::StrCat("key", key), absl::StrCat(key, ":", rng.Bytes(rng.Below(500)))));
    if (i % 5 == 0) Sync();
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(compacts() && read_count > 0);
  EXPECT_EQ(engine_->stats().failed_segment_count, 0u);
}

}  // namespace
}  // namespace slipstream::storage
