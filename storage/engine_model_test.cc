// Random courses of writes, batches, streamed transactions, records of other nodes, restarts and
// maintenance: reads give what a map would, and the account of dead bytes is what a scan of the log
// finds.

#include <cstdint>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/key_id.h"
#include "base/random.h"
#include "base/testing/status_matchers.h"
#include "base/version.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/engine.h"
#include "storage/engine_stats.h"
#include "storage/entry.h"
#include "storage/keydir_shard.h"
#include "storage/log_recovery.h"
#include "storage/log_segment.h"
#include "storage/memory_file_system.h"
#include "storage/options.h"
#include "storage/record.h"
#include "storage/testing/log_scan.h"
#include "storage/testing/small_store.h"
#include "storage/write_stream.h"

namespace slipstream::storage {
namespace {

using testing::AllEntries;
using testing::CheckEntriesAgainstLog;
using testing::ColdOptions;
using testing::kDirectory;
using testing::Noon;
using testing::ScanLog;
using testing::SmallOptions;

// Returns the dead bytes of all segments but the last in use, as a scan of the log finds them.
uint64_t ScanDeadBytes(const MemoryFileSystem& fs) {
  struct Newest {
    base::Version version;
    uint64_t segment_number = 0;
    uint64_t bytes = 0;
  };
  std::map<base::KeyId, Newest> newest;
  const LogRecovery recovery =
      ScanLog(fs, [&newest](const RecordView& record, const Location& location) {
        Newest& known = newest[base::KeyIdOf(record.key)];
        if (record.version() <= known.version) return;
        known = {record.version(), location.segment_number, record.bytes()};
      });
  std::map<uint64_t, uint64_t> dead;
  for (const std::unique_ptr<Segment>& segment : recovery.tail.segments) {
    dead[segment->number] = segment->bytes;
  }
  for (const auto& [key_id, known] : newest) dead[known.segment_number] -= known.bytes;
  if (!dead.empty()) dead.erase(std::prev(dead.end()));
  uint64_t sum = 0;
  for (const auto& [number, bytes] : dead) sum += bytes;
  return sum;
}

// A store and a map of what it must hold.
class Model {
 public:
  Model(MemoryFileSystem* fs, const Options& options, uint64_t seed)
      : fs_(fs), options_(options), rng_(seed) {}

  absl::Status Open() {
    stream_.reset();
    engine_.reset();
    absl::StatusOr<std::unique_ptr<Engine>> opened =
        Engine::Open(fs_, kDirectory, options_, &rng_, nullptr);
    if (!opened.ok()) return opened.status();
    engine_ = *std::move(opened);
    return absl::OkStatus();
  }

  void Step() {
    switch (rng_.Below(20)) {
      case 0:
        return Reopen();
      case 1:
        return Batch();
      case 2:
        return rng_.OneIn(2) ? ApplyForeign() : Stream();
      case 3:
      case 4:
        ASSERT_OK(engine_->Flush(Engine::FlushMode::kSync));
        return;
      case 5:
      case 6:
      case 7:
        return Write(Mutation{.kind = Mutation::Kind::kDelete, .key = RandomKey()});
      case 8:
      case 9:
      case 10:
      case 11:
      case 12: {
        std::string value = rng_.Bytes(rng_.Below(800));
        const uint64_t expires_at_ms = rng_.OneIn(4) ? 1'700'000'000'000 - 1 + rng_.Below(3) : 0;
        return Write({.key = RandomKey(), .value = value, .expires_at_ms = expires_at_ms});
      }
      default:
        ASSERT_OK(engine_->Maintain());
    }
  }

  void CheckAll() {
    for (const auto& [key, record] : records_) Check(key, record);
    EXPECT_EQ(AllEntries(*engine_).size(), records_.size());
  }
  // Counts over all lives.
  uint64_t compacted_segment_count() const {
    return compacted_segment_count_ + engine_->stats().compacted_segment_count;
  }
  Engine& engine() { return *engine_; }

 private:
  std::string RandomKey() { return absl::StrCat("key", rng_.Below(12)); }

  void Note(const Mutation& mutation, const base::Version& version, uint64_t sequence) {
    records_[std::string(mutation.key)] = {.key = std::string(mutation.key),
                                           .value = std::string(mutation.value),
                                           .version = version,
                                           .sequence = sequence,
                                           .expires_at_ms = mutation.expires_at_ms,
                                           .tombstone = mutation.kind == Mutation::Kind::kDelete};
  }

  void Write(const Mutation& mutation) {
    ASSERT_OK_AND_ASSIGN(const WriteResult result,
                         engine_->Write({mutation}, Atomicity::kEach, Noon()));
    Note(mutation, result.versions[0], result.sequences[0]);
    if (rng_.OneIn(3)) Check(mutation.key, records_[std::string(mutation.key)]);
  }

  void Batch() {
    const std::string value = rng_.Bytes(rng_.Below(800));
    std::vector<std::string> keys;  // One in two takes several frames.
    for (int i = rng_.OneIn(2) ? 0 : 9; i < 12; ++i) keys.push_back(absl::StrCat("key", i));
    std::vector<Mutation> mutations = {{.kind = Mutation::Kind::kDelete, .key = keys[0]}};
    for (size_t i = 1; i < keys.size(); ++i) mutations.push_back({.key = keys[i], .value = value});
    ASSERT_OK_AND_ASSIGN(const WriteResult done, engine_->Transact({}, mutations, Noon()));
    for (size_t i = 0; i < keys.size(); ++i)
      Note(mutations[i], done.versions[i], done.sequences[i]);
  }

  // Adds to an open transaction, or opens one, commits it or rolls it back.
  void Stream() {
    if (stream_ == nullptr) {
      stream_ = std::make_unique<WriteStream>(engine_.get());
      streamed_.clear();
    }
    for (uint64_t count = rng_.Below(8); count > 0; --count) {
      const Streamed& added = streamed_.emplace_back(
          Streamed{.key = RandomKey(), .value = rng_.Bytes(rng_.Below(700))});
      ASSERT_OK(engine_->Stream({Mutation{.key = added.key, .value = added.value}}, *stream_));
    }
    if (stream_->bytes < 8000 && !rng_.OneIn(3)) return;
    if (rng_.OneIn(3)) return stream_.reset();
    ASSERT_OK_AND_ASSIGN(const WriteResult done, engine_->CommitStream({}, *stream_, Noon()));
    stream_.reset();
    for (size_t i = 0; i < streamed_.size(); ++i) {
      Note({.key = streamed_[i].key, .value = streamed_[i].value}, done.versions[i],
           done.sequences[i]);
    }
    streamed_.clear();
  }

  // A record of another node that is older or newer than what is there.
  void ApplyForeign() {
    const uint64_t given_count = engine_->last_hlc() - base::HlcFromTime(Noon());
    // An actor of its own gives each, so that no version is given twice.
    ++foreign_count_;
    const Record record{
        .key = RandomKey(),
        .value = rng_.Bytes(rng_.Below(500)),
        .version = {.hlc = base::HlcFromTime(Noon()) + rng_.Below(given_count + 100),
                    .actor = base::ActorId{foreign_count_}},
        .sequence = 1};
    const auto known = records_.find(record.key);
    const bool newer = known == records_.end() || known->second.version < record.version;
    ASSERT_OK_AND_ASSIGN(const WriteResult result,
                         engine_->Apply({record}, Atomicity::kEach, Noon()));
    ASSERT_EQ(result.applied_count, newer ? 1u : 0u);
    if (newer) records_[record.key] = record;
  }

  void Check(absl::string_view key, const Record& expected) {
    ASSERT_OK_AND_ASSIGN(const Record record, engine_->GetRecord(base::KeyIdOf(key), nullptr));
    ASSERT_EQ(record, expected);
    ASSERT_OK_AND_ASSIGN(const ReadResult read, engine_->Get(key, Noon()));
    ASSERT_EQ(read.version, expected.version);
    ASSERT_EQ(read.found, !expected.tombstone && !IsExpired(expected.expires_at_ms, Noon()));
    if (read.found) ASSERT_EQ(read.value, expected.value);
  }

  absl::Status Rest() {
    for (int step = 0; step < 100'000; ++step) {
      const absl::StatusOr<bool> more = engine_->Maintain();
      if (!more.ok()) return more.status();
      if (!*more) return engine_->Flush(Engine::FlushMode::kSync).status();
    }
    return absl::InternalError("maintenance does not come to rest");
  }

  void Reopen() {
    ASSERT_OK(engine_->Flush(Engine::FlushMode::kSync));
    const EngineStats before = engine_->stats();
    ASSERT_EQ(before.failed_segment_count, 0u);
    compacted_segment_count_ += before.compacted_segment_count;
    if (rng_.OneIn(2)) {
      stream_.reset();
      ASSERT_OK(engine_->Close());
    }
    ASSERT_OK(Open());
    ASSERT_TRUE(engine_->recovery_report().damaged.empty())
        << engine_->recovery_report().damaged[0].cause;
    ASSERT_FALSE(engine_->recovery_report().manifest_damaged);
    ASSERT_OK(CheckEntriesAgainstLog(*engine_, fs_));
    // What a write to a cold key killed is counted when the runs are merged.
    if (options_.memory_limit_bytes != 0) ASSERT_OK(Rest());
    ASSERT_EQ(engine_->stats().dead_bytes, ScanDeadBytes(*fs_));
    CheckAll();
  }

  struct Streamed {
    std::string key;
    std::string value;
  };

  MemoryFileSystem* const fs_;
  const Options options_;
  base::Random rng_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<WriteStream> stream_;  // Null: no transaction is open.
  std::vector<Streamed> streamed_;       // Its writes.
  std::map<std::string, Record> records_;
  uint64_t foreign_count_ = 0;
  uint64_t compacted_segment_count_ = 0;
};

// The second half of the seeds leave no memory for entries: spills, merges and compaction collide.
TEST(EngineModelTest, AgreesWithAMapAndItsAccountWithAScan) {
  uint64_t compacted_segment_count = 0;
  for (uint64_t seed = 1; seed <= 16; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    MemoryFileSystem fs;
    Options options = seed <= 8 ? SmallOptions() : ColdOptions();
    options.compaction_step_bytes = seed % 2 == 0 ? 200 : 5000;
    Model model(&fs, options, seed);
    ASSERT_OK(model.Open());
    for (int step = 0; step < 1500; ++step) {
      model.Step();
      if (::testing::Test::HasFatalFailure()) return;
    }
    model.CheckAll();
    EXPECT_EQ(model.engine().stats().failed_segment_count, 0u);
    compacted_segment_count += model.compacted_segment_count();
  }
  EXPECT_GT(compacted_segment_count, 50u);
}

}  // namespace
}  // namespace slipstream::storage
