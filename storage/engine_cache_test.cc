// What the value cache may and may not change about Engine::Get.

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/key_id.h"
#include "base/random.h"
#include "base/testing/status_matchers.h"
#include "gtest/gtest.h"
#include "storage/engine.h"
#include "storage/entry.h"
#include "storage/file_system.h"
#include "storage/frame.h"
#include "storage/memory_file_system.h"
#include "storage/options.h"
#include "storage/record.h"
#include "storage/segment.h"
#include "storage/testing/small_store.h"

namespace slipstream::storage {
namespace {

using base::testing::StatusIs;
using testing::kDirectory;
using testing::Noon;
using testing::SmallOptions;

class EngineCacheTest : public ::testing::Test {
 protected:
  void SetUp() override { Open(); }

  void Open() {
    engine_.reset();
    ASSERT_OK_AND_ASSIGN(engine_, Engine::Open(&fs_, kDirectory, options_, &rng_, nullptr));
  }

  void Write(Mutation::Kind kind, absl::string_view key, absl::string_view value) {
    const Mutation mutation{.kind = kind, .key = key, .value = value};
    ASSERT_OK(engine_->Write({mutation}, Atomicity::kEach, Noon()));
    ASSERT_OK(engine_->Flush(Engine::FlushMode::kSync));
  }
  void Put(absl::string_view key, absl::string_view value) {
    Write(Mutation::Kind::kPut, key, value);
  }

  std::string Value(absl::string_view key, absl::Time now = Noon()) {
    const absl::StatusOr<ReadResult> read = engine_->Get(key, now);
    if (!read.ok()) return read.status().ToString();
    return read->found ? read->value : "absent";
  }

  uint64_t read_count() { return fs_.call_count(MemoryFileSystem::Operation::kRead); }

  MemoryFileSystem fs_;
  base::Random rng_{1};
  Options options_ = [] {
    Options options = SmallOptions();
    options.value_cache_bytes = 64 << 20;
    return options;
  }();
  std::unique_ptr<Engine> engine_;
};

TEST_F(EngineCacheTest, SecondGetReadsNoDiskAndSaysTheSame) {
  Put("key", "value");
  Open();  // With an empty cache.
  const uint64_t before = read_count();
  ASSERT_OK_AND_ASSIGN(const ReadResult first, engine_->Get("key", Noon()));
  EXPECT_EQ(read_count(), before + 1);
  ASSERT_OK_AND_ASSIGN(const ReadResult second, engine_->Get("key", Noon()));
  EXPECT_EQ(read_count(), before + 1);
  EXPECT_TRUE(second.found);
  EXPECT_EQ(second.value, "value");
  EXPECT_EQ(second.version, first.version);
  EXPECT_EQ(second.lsn, 0u);
  const EngineStats stats = engine_->stats();
  EXPECT_EQ(stats.value_cache_hit_count, 1u);
  EXPECT_EQ(stats.value_cache_miss_count, 1u);
  EXPECT_GT(stats.value_cache_bytes, 0u);
}

TEST_F(EngineCacheTest, WhatWasJustPutIsReadWithoutDiskWhileThereIsRoom) {
  Put("key", "value");
  const uint64_t before = read_count();
  EXPECT_EQ(Value("key"), "value");
  EXPECT_EQ(read_count(), before);
  // More than the cache takes: what is put afterwards is not kept until somebody reads it.
  options_.value_cache_bytes = 256 << 10;
  Open();
  for (int i = 0; i < 2000; ++i) Put(absl::StrCat("key", i), std::string(200, 'v'));
  Put("late", "value");
  const uint64_t full = read_count();
  EXPECT_EQ(Value("late"), "value");
  EXPECT_EQ(read_count(), full + 1);
  EXPECT_EQ(Value("late"), "value");
  EXPECT_EQ(read_count(), full + 1);
  EXPECT_LE(engine_->stats().value_cache_bytes, options_.value_cache_bytes);
}

TEST_F(EngineCacheTest, SwitchedOffEachGetReads) {
  options_.value_cache_bytes = 0;
  Open();
  Put("key", "value");
  const uint64_t before = read_count();
  EXPECT_EQ(Value("key"), "value");
  EXPECT_EQ(Value("key"), "value");
  EXPECT_EQ(read_count(), before + 2);
  EXPECT_EQ(engine_->stats().value_cache_miss_count, 0u);
}

TEST_F(EngineCacheTest, WhatIsNotYetDurableIsSaidSoFromTheCacheToo) {
  const Mutation put{.key = "key", .value = "value"};
  ASSERT_OK(engine_->Write({put}, Atomicity::kEach, Noon()));
  for (int i = 0; i < 2; ++i) {
    ASSERT_OK_AND_ASSIGN(const ReadResult read, engine_->Get("key", Noon()));
    EXPECT_EQ(read.lsn, 1u);
  }
  EXPECT_EQ(engine_->stats().value_cache_hit_count, 2u);
}

TEST_F(EngineCacheTest, NothingOldIsServed) {
  Put("key", "first");
  EXPECT_EQ(Value("key"), "first");
  Put("key", "second");
  EXPECT_EQ(Value("key"), "second");
  EXPECT_EQ(Value("key"), "second");
  Write(Mutation::Kind::kDelete, "key", "");
  EXPECT_EQ(Value("key"), "absent");
  const Record record{.key = "key",
                      .value = "third",
                      .version = {.hlc = engine_->last_hlc() + 1, .actor = base::ActorId{7}},
                      .sequence = 1,
                      .expires_at_ms = static_cast<uint64_t>(absl::ToUnixMillis(Noon())) + 5};
  ASSERT_OK(engine_->Apply({record}, Atomicity::kEach, Noon()));
  EXPECT_EQ(Value("key"), "third");
  EXPECT_EQ(Value("key", Noon() + absl::Milliseconds(4)), "third");
  EXPECT_EQ(Value("key", Noon() + absl::Milliseconds(5)), "absent");
}

TEST_F(EngineCacheTest, DamagedRecordIsNeverKept) {
  Put("key", "value");
  Open();
  fs_.FlipBit(JoinPath(kDirectory, SegmentFileName(1)),
              kPageBytes + kFrameHeaderBytes + kRecordHeaderBytes + 4, 2);
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(engine_->Get("key", Noon()), StatusIs(absl::StatusCode::kDataLoss));
  }
  EXPECT_EQ(engine_->stats().value_cache_bytes, 0u);
}

TEST_F(EngineCacheTest, QuarantinedKeyIsNotServedFromTheCache) {
  Put("key", "value");
  EXPECT_EQ(Value("key"), "value");
  fs_.FlipBit(JoinPath(kDirectory, SegmentFileName(1)),
              kPageBytes + kFrameHeaderBytes + kRecordHeaderBytes + 4, 2);
  // The cache holds what a client wrote, and serves it until the damage is found.
  EXPECT_EQ(Value("key"), "value");
  EXPECT_THAT(engine_->GetRecord(base::KeyIdOf("key"), nullptr),
              StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(engine_->Get("key", Noon()), StatusIs(absl::StatusCode::kDataLoss));
}

}  // namespace
}  // namespace slipstream::storage
