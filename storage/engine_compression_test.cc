// Values in the engine, compressed and as they are, under each policy.

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/digest.h"
#include "base/key_id.h"
#include "base/random.h"
#include "base/testing/status_matchers.h"
#include "base/version.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/engine.h"
#include "storage/entry.h"
#include "storage/memory_file_system.h"
#include "storage/options.h"
#include "storage/testing/small_store.h"

namespace slipstream::storage {
namespace {

using testing::AllEntries;
using testing::CheckEntriesAgainstLog;
using testing::kDirectory;
using testing::Noon;
using testing::SmallOptions;

class EngineCompressionTest : public ::testing::Test {
 protected:
  void SetUp() override { Open(); }

  void Open() {
    engine_.reset();
    ASSERT_OK_AND_ASSIGN(engine_, Engine::Open(&fs_, kDirectory, options_, &rng_, nullptr));
  }

  absl::Status Put(absl::string_view key, absl::string_view value) {
    const Mutation put{.key = key, .value = value};
    return engine_->Write({put}, Atomicity::kEach, Noon()).status();
  }

  void Sync() { ASSERT_OK(engine_->Flush(Engine::FlushMode::kSync)); }

  std::string Value(absl::string_view key) {
    const absl::StatusOr<ReadResult> read = engine_->Get(key, Noon());
    if (!read.ok()) return read.status().ToString();
    return read->found ? read->value : "absent";
  }

  MemoryFileSystem fs_;
  base::Random rng_{1};
  Options options_ = SmallOptions();
  std::unique_ptr<Engine> engine_;
};

// Values that each codec shortens, and that none does.
std::vector<std::string> ValuesOfAllKinds() {
  return {"short",
          std::string(63, 'a'),
          std::string(64, 'a'),
          std::string(1024, 'b'),
          base::Random(3).Bytes(1024),
          ""};
}

TEST_F(EngineCompressionTest, CompressedValuesComeBackWhateverThePolicyIsNow) {
  constexpr Compression kPolicies[] = {Compression::kAuto, Compression::kNone, Compression::kLz4,
                                       Compression::kZstd};
  for (const Compression policy : kPolicies) {
    options_.compression = policy;
    Open();
    int number = 0;
    for (const std::string& value : ValuesOfAllKinds()) {
      ASSERT_OK(Put(absl::StrCat(static_cast<int>(policy), "/", ++number), value));
    }
    Sync();
  }
  Open();
  EXPECT_OK(CheckEntriesAgainstLog(*engine_, &fs_));
  // Digests are of the raw values: the same for all policies.
  std::set<base::ValueDigest> digests;
  for (const Entry& entry : AllEntries(*engine_)) digests.insert(entry.value_digest);
  EXPECT_EQ(digests.size(), ValuesOfAllKinds().size());
  for (const Compression policy : kPolicies) {
    int number = 0;
    for (const std::string& value : ValuesOfAllKinds()) {
      const std::string key = absl::StrCat(static_cast<int>(policy), "/", ++number);
      EXPECT_EQ(Value(key), value);
      ASSERT_OK_AND_ASSIGN(const Record record, engine_->GetRecord(base::KeyIdOf(key), nullptr));
      EXPECT_EQ(record.value, value);
    }
  }
}

TEST_F(EngineCompressionTest, StatsCountValuesBeforeAndAfterCompression) {
  const std::string compressible(1000, 'a');
  ASSERT_OK(Put("a", compressible));
  EXPECT_EQ(engine_->stats().raw_value_bytes, 1000u);
  const uint64_t stored_bytes = engine_->stats().stored_value_bytes;
  EXPECT_GT(stored_bytes, 0u);
  EXPECT_LT(stored_bytes, 100u);
  ASSERT_OK(Put("b", "as it is"));
  const Mutation remove{.kind = Mutation::Kind::kDelete, .key = "a"};
  ASSERT_OK(engine_->Write({remove}, Atomicity::kEach, Noon()));
  EXPECT_EQ(engine_->stats().raw_value_bytes, 1008u);
  EXPECT_EQ(engine_->stats().stored_value_bytes, stored_bytes + 8);
  Sync();
  Open();
  EXPECT_EQ(engine_->stats().raw_value_bytes, 0u);
}

TEST_F(EngineCompressionTest, RecordsOfPeersAreCompressedByThisNodesPolicy) {
  const Record record{.key = "k",
                      .value = std::string(1000, 'a'),
                      .version = {.hlc = 1 << 20, .actor = base::ActorId{9}},
                      .sequence = 1};
  for (const Compression policy : {Compression::kNone, Compression::kLz4}) {
    options_.compression = policy;
    Open();
    ASSERT_OK(engine_->Apply({record}, Atomicity::kEach, Noon()));
    EXPECT_EQ(engine_->stats().raw_value_bytes, 1000u);
    EXPECT_EQ(engine_->stats().stored_value_bytes < 1000, policy == Compression::kLz4);
    ASSERT_OK_AND_ASSIGN(const Record back, engine_->GetRecord(base::KeyIdOf("k"), nullptr));
    EXPECT_EQ(back, record);
  }
}

TEST_F(EngineCompressionTest, AnAtomicBatchOfCompressedValuesComesBackWhole) {
  std::vector<std::string> values;
  for (char letter = 'a'; letter <= 'd'; ++letter) values.emplace_back(500, letter);
  ASSERT_OK(engine_->Write(
      {Mutation{.key = "1", .value = values[0]}, Mutation{.key = "2", .value = values[1]},
       Mutation{.key = "3", .value = values[2]}, Mutation{.key = "4", .value = values[3]}},
      Atomicity::kAll, Noon()));
  Sync();
  Open();
  EXPECT_EQ(engine_->recovery_report().record_count, 5u);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(Value(absl::StrCat(i + 1)), values[i]);
}

}  // namespace
}  // namespace slipstream::storage
