// GetMany against Get: the same answers, with the disk asked once.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
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

using base::testing::IsOk;
using base::testing::StatusIs;
using ::testing::SizeIs;

constexpr absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);
constexpr size_t kNoLimit = 1 << 30;

// A disk that counts the calls of ReadMany and what they ask for.
class CountingDisk : public MemoryFileSystem {
 public:
  void ReadMany(absl::Span<FileRead> reads) override {
    batch_sizes.push_back(reads.size());
    MemoryFileSystem::ReadMany(reads);
  }
  std::vector<size_t> batch_sizes;
};

class EngineReadManyTest : public ::testing::Test {
 protected:
  void SetUp() override { Open(/*value_cache_bytes=*/0); }

  void Open(uint64_t value_cache_bytes) {
    engine_.reset();
    Options options = testing::SmallOptions();
    options.value_cache_bytes = value_cache_bytes;
    ASSERT_OK_AND_ASSIGN(engine_, Engine::Open(&disk_, "/data", options, &rng_, nullptr));
  }

  void Put(absl::string_view key, absl::string_view value, uint64_t expires_at_ms = 0) {
    Write(
        {.kind = Mutation::Kind::kPut, .key = key, .value = value, .expires_at_ms = expires_at_ms});
  }
  void Delete(absl::string_view key) { Write({.kind = Mutation::Kind::kDelete, .key = key}); }
  void Write(const Mutation& mutation) {
    EXPECT_OK(engine_->Write({&mutation, 1}, Atomicity::kEach, kNow));
  }
  void Flush() { EXPECT_OK(engine_->Flush(Engine::FlushMode::kSync)); }

  static void ExpectSame(const absl::StatusOr<ReadResult>& many,
                         const absl::StatusOr<ReadResult>& one) {
    EXPECT_EQ(many.status(), one.status());
    if (!many.ok() || !one.ok()) return;
    EXPECT_EQ(many->found, one->found);
    EXPECT_EQ(many->value, one->value);
    EXPECT_EQ(many->version, one->version);
    EXPECT_EQ(many->expires_at_ms, one->expires_at_ms);
    EXPECT_EQ(many->lsn, one->lsn);
  }

  // Gets `keys` in both ways.
  void ExpectAsGet(const std::vector<absl::string_view>& keys) {
    const std::vector<absl::StatusOr<ReadResult>> many = engine_->GetMany(keys, kNow, kNoLimit);
    ASSERT_THAT(many, SizeIs(keys.size()));
    for (size_t i = 0; i < keys.size(); ++i) {
      SCOPED_TRACE(absl::StrCat("key ", i));
      ExpectSame(many[i], engine_->Get(keys[i], kNow));
    }
  }

  base::Random rng_{1};
  CountingDisk disk_;
  std::unique_ptr<Engine> engine_;
};

TEST_F(EngineReadManyTest, AnswersAsGetDoes) {
  const std::string long_key(5000, 'k');
  const std::string zeros(1'000, '\0');  // Stored compressed.
  Put("live", "1");
  Put("zeros", zeros);
  Put("expired", "2", absl::ToUnixMillis(kNow) - 1);
  Put("expires", "3", absl::ToUnixMillis(kNow) + 1000);
  Put("deleted", "4");
  Delete("deleted");
  Flush();
  Put("unflushed", "5");
  ExpectAsGet({"live", "", "absent", "expired", "expires", "deleted", "unflushed", "zeros",
               long_key, "live"});
}

TEST_F(EngineReadManyTest, AsksTheDiskOnceForAllThatIsThere) {
  std::vector<std::string> keys;
  for (int i = 0; i < 100; ++i) keys.push_back(absl::StrCat("key", i));
  for (const std::string& key : keys) Put(key, absl::StrCat("value of ", key));
  Flush();
  const std::vector<absl::string_view> views(keys.begin(), keys.end());
  const std::vector<absl::StatusOr<ReadResult>> many = engine_->GetMany(views, kNow, kNoLimit);
  ASSERT_THAT(many, SizeIs(100));
  for (int i = 0; i < 100; ++i) EXPECT_EQ(many[i]->value, absl::StrCat("value of ", keys[i]));
  EXPECT_THAT(disk_.batch_sizes, ::testing::ElementsAre(100));
}

TEST_F(EngineReadManyTest, ReadsNoMoreThanItMay) {
  const std::vector<absl::string_view> keys = {"a", "b", "c", "d"};
  for (const absl::string_view key : keys) Put(key, rng_.Bytes(1000));
  Flush();
  EXPECT_THAT(engine_->GetMany(keys, kNow, 2500), SizeIs(2));
  EXPECT_THAT(engine_->GetMany(keys, kNow, 1), SizeIs(1));
  EXPECT_THAT(engine_->GetMany({}, kNow, 1), SizeIs(0));
}

TEST_F(EngineReadManyTest, CountsValuesAsTheyAreForTheReader) {
  const std::vector<absl::string_view> keys(100, "zeros");
  Put("zeros", std::string(1000, '\0'));  // Stored in far fewer bytes.
  Flush();
  EXPECT_LE(engine_->GetMany(keys, kNow, 5000).size(), 7u);
  Open(/*value_cache_bytes=*/1 << 20);
  EXPECT_LE(engine_->GetMany(keys, kNow, 5000).size(), 7u);
  ASSERT_TRUE(engine_->GetInMemory("zeros", kNow).has_value());
  EXPECT_LE(engine_->GetMany(keys, kNow, 5000).size(), 7u);
}

TEST_F(EngineReadManyTest, DamageIsTheKeysOwn) {
  Put("good", "1");
  Put("bad", "2");
  Put("also good", "3");
  Flush();
  const std::string path = "/data/0000000000000001.log";
  const size_t offset = disk_.Contents(path).find("bad");
  ASSERT_NE(offset, std::string::npos);
  disk_.FlipBit(path, offset, 0);
  const std::vector<absl::string_view> keys = {"good", "bad", "also good"};
  const std::vector<absl::StatusOr<ReadResult>> many = engine_->GetMany(keys, kNow, kNoLimit);
  ASSERT_THAT(many, SizeIs(3));
  EXPECT_EQ(many[0]->value, "1");
  EXPECT_THAT(many[1], StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_EQ(many[2]->value, "3");
  EXPECT_EQ(engine_->stats().damaged_key_count, 1u);
}

TEST_F(EngineReadManyTest, DeviceThatFailsIsReported) {
  Put("a", "1");
  Put("b", "2");
  Flush();
  disk_.InjectFault({.operation = MemoryFileSystem::Operation::kRead, .lasting = true});
  for (const absl::StatusOr<ReadResult>& read : engine_->GetMany({{"a", "b"}}, kNow, kNoLimit)) {
    EXPECT_THAT(read, StatusIs(absl::StatusCode::kUnavailable));
  }
  disk_.ClearFaults();
  ExpectAsGet({"a", "b"});
}

TEST_F(EngineReadManyTest, FillsTheValueCache) {
  Put("a", "1");
  Put("b", "2");
  Flush();
  Open(/*value_cache_bytes=*/1 << 20);
  ExpectAsGet({"a", "b"});
  EXPECT_THAT(disk_.batch_sizes, ::testing::ElementsAre(2));
  EXPECT_TRUE(engine_->GetInMemory("a", kNow).has_value());
  ExpectAsGet({"a", "b"});
  EXPECT_THAT(disk_.batch_sizes, ::testing::ElementsAre(2));
}

}  // namespace
}  // namespace slipstream::storage
