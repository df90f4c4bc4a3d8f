// Scrubbing from the outside: after a pass, the keys that a read would find damaged are in
// quarantine, and no others, whatever is written, compacted and evicted meanwhile.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/crc32c.h"
#include "base/key_id.h"
#include "base/random.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/engine.h"
#include "storage/entry.h"
#include "storage/file_system.h"
#include "storage/frame.h"
#include "storage/memory_file_system.h"
#include "storage/options.h"
#include "storage/record.h"
#include "storage/run_format.h"
#include "storage/scrub_progress.h"
#include "storage/segment.h"
#include "storage/testing/small_store.h"

namespace slipstream::storage {
namespace {

using base::testing::StatusIs;
using testing::AllEntries;
using testing::ColdOptions;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::kDirectory;
using testing::Noon;
using testing::SmallOptions;

std::string SegmentPath(uint64_t number) { return JoinPath(kDirectory, SegmentFileName(number)); }

absl::Status Put(Engine& engine, absl::string_view key, absl::string_view value) {
  const Mutation put{.key = key, .value = value};
  return engine.Write({put}, Atomicity::kEach, Noon()).status();
}

absl::Status Sync(Engine& engine) { return engine.Flush(Engine::FlushMode::kSync).status(); }

absl::Status Settle(Engine& engine) {
  for (;;) {
    const absl::StatusOr<bool> more = engine.Maintain();
    if (!more.ok() || !*more) return more.status();
  }
}

// Scrubs to the end of a pass; returns what was found.
absl::StatusOr<std::vector<ScrubFinding>> ScrubPass(Engine& engine) {
  std::vector<ScrubFinding> findings;
  for (int step = 0; step < 100'000; ++step) {
    absl::StatusOr<ScrubProgress> progress = engine.Scrub();
    if (!progress.ok()) return progress.status();
    if (progress->finding.has_value()) findings.push_back(*std::move(progress->finding));
    if (progress->ended_pass) return findings;
  }
  return absl::InternalError("a pass that does not end");
}

// Returns the keys of which no record can be read.
std::set<std::string> DamagedKeys(Engine& engine, const std::vector<std::string>& keys) {
  std::set<std::string> damaged;
  for (const std::string& key : keys) {
    const absl::Status status = engine.GetRecord(base::KeyIdOf(key), nullptr).status();
    if (absl::IsDataLoss(status)) damaged.insert(key);
  }
  return damaged;
}

enum class Entries { kHot, kCold };

// Frame i of segment 1, at page i, holds the records a<i> and b<i>; the segment is full.
class EngineScrubTest : public ::testing::TestWithParam<Entries> {
 protected:
  static constexpr uint64_t kSegmentPages = 8;
  static constexpr int kFrameCount = kSegmentPages - 1;

  EngineScrubTest() {
    if (GetParam() == Entries::kCold) options_ = ColdOptions();
    options_.segment_bytes = kSegmentPages * kPageBytes;
    options_.scrub_step_bytes = kPageBytes;
    options_.compression = Compression::kNone;
  }

  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(engine_, Open(&fs_));
    for (int i = 1; i <= kFrameCount; ++i) {
      PutBoth(i);
      ASSERT_OK(Sync(*engine_));
    }
    // Segment 2.
    ASSERT_OK(Put(*engine_, "c", "third"));
    ASSERT_OK(Sync(*engine_));
    keys_.emplace_back("c");
  }

  absl::StatusOr<std::unique_ptr<Engine>> Open(FileSystem* fs) {
    absl::StatusOr<std::unique_ptr<Engine>> engine =
        Engine::Open(fs, kDirectory, options_, &rng_, nullptr);
    if (!engine.ok()) return engine;
    (*engine)->PauseCompaction(true);
    const absl::Status settled = Settle(**engine);
    return settled.ok() ? std::move(engine) : settled;
  }

  void PutBoth(int i) {
    for (const auto& [side, value] :
         std::map<std::string, std::string>{{"a", "first"}, {"b", "second"}}) {
      ASSERT_OK(Put(*engine_, absl::StrCat(side, i), value));
      keys_.push_back(absl::StrCat(side, i));
    }
  }

  static uint64_t OffsetOfFrame(int number) { return static_cast<uint64_t>(number) * kPageBytes; }

  MemoryFileSystem fs_;
  base::Random rng_{1};
  Options options_ = SmallOptions();
  std::unique_ptr<Engine> engine_;
  std::vector<std::string> keys_;
};

constexpr uint64_t kRecordABytes = kRecordHeaderBytes + 2 + 5;
constexpr uint64_t kPayloadBytes = 2 * kRecordHeaderBytes + 2 + 2 + 5 + 6;

TEST_P(EngineScrubTest, AWholeStoreHasNoDamageAndIsReadWhole) {
  ASSERT_OK(Settle(*engine_));
  ASSERT_OK_AND_ASSIGN(const std::vector<ScrubFinding> findings, ScrubPass(*engine_));
  EXPECT_TRUE(findings.empty());
  const EngineStats stats = engine_->stats();
  EXPECT_EQ(stats.scrub_pass_count, 1u);
  EXPECT_EQ(stats.scrub_damaged_count, 0u);
  EXPECT_EQ(stats.scrub_damaged_key_count, 0u);
  EXPECT_EQ(stats.damaged_key_count, 0u);
  EXPECT_GE(stats.scrubbed_bytes, kSegmentPages * kPageBytes + stats.run_entry_count);
  EXPECT_EQ(AllEntries(*engine_).size(), keys_.size());
}

TEST_P(EngineScrubTest, EveryByteOfAFrameQuarantinesWhatAReadFindsDamaged) {
  ASSERT_OK(Settle(*engine_));
  const int number = 3;
  for (uint64_t i = 0; i < kFrameHeaderBytes + kPayloadBytes + 20; ++i) {
    SCOPED_TRACE(absl::StrCat("byte ", i));
    const auto flip = [&](MemoryFileSystem& disk) {
      disk.FlipBit(SegmentPath(1), OffsetOfFrame(number) + i, static_cast<int>(i % 8));
    };
    // One engine scrubs, the other only reads.
    const std::unique_ptr<MemoryFileSystem> scrubbed_disk = fs_.Clone();
    const std::unique_ptr<MemoryFileSystem> read_disk = fs_.Clone();
    ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Engine> scrubbed, Open(scrubbed_disk.get()));
    ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Engine> read, Open(read_disk.get()));
    flip(*scrubbed_disk);
    flip(*read_disk);
    const std::set<std::string> damaged = DamagedKeys(*read, keys_);
    ASSERT_OK_AND_ASSIGN(const std::vector<ScrubFinding> findings, ScrubPass(*scrubbed));
    EXPECT_EQ(scrubbed->stats().damaged_key_count, damaged.size());
    EXPECT_EQ(scrubbed->stats().scrub_damaged_key_count, damaged.size());
    EXPECT_EQ(AllEntries(*scrubbed).size(), keys_.size() - damaged.size());
    EXPECT_EQ(DamagedKeys(*scrubbed, keys_), damaged);
    const bool is_header = i < kFrameHeaderBytes;
    const bool is_padding = i >= kFrameHeaderBytes + kPayloadBytes;
    const bool is_a = i < kFrameHeaderBytes + kRecordABytes;
    ASSERT_EQ(findings.size(), is_padding ? 0u : 1u);
    EXPECT_EQ(scrubbed->stats().scrub_damaged_count, findings.size());
    if (is_header || is_padding) {
      EXPECT_TRUE(damaged.empty());
    } else {
      EXPECT_THAT(damaged, ElementsAre(absl::StrCat(is_a ? "a" : "b", number)));
      EXPECT_THAT(findings[0].key_ids, ElementsAre(base::KeyIdOf(*damaged.begin())));
    }
    if (!findings.empty()) {
      EXPECT_EQ(findings[0].segment_number, 1u);
      EXPECT_EQ(findings[0].place_count, 1u);
      EXPECT_THAT(findings[0].cause, HasSubstr("segment 1 offset 12288"));
    }
  }
}

TEST_P(EngineScrubTest, DamageIsNewsOnceAndAPassStartsAnewAfterTheLast) {
  ASSERT_OK(Settle(*engine_));
  ASSERT_OK(ScrubPass(*engine_));
  fs_.FlipBit(SegmentPath(1), OffsetOfFrame(1) + kFrameHeaderBytes + 3, 0);
  ASSERT_OK_AND_ASSIGN(std::vector<ScrubFinding> findings, ScrubPass(*engine_));
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].key_count, 1u);
  ASSERT_OK_AND_ASSIGN(findings, ScrubPass(*engine_));
  EXPECT_TRUE(findings.empty());
  // More of the same frame: no new place, and a key more.
  fs_.FlipBit(SegmentPath(1), OffsetOfFrame(1) + kFrameHeaderBytes + kRecordABytes, 0);
  ASSERT_OK_AND_ASSIGN(findings, ScrubPass(*engine_));
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].place_count, 0u);
  EXPECT_THAT(findings[0].key_ids, ElementsAre(base::KeyIdOf("b1")));
  EXPECT_EQ(engine_->stats().scrub_damaged_count, 1u);
  EXPECT_EQ(engine_->stats().scrub_pass_count, 4u);
  // What replaces them is sound.
  ASSERT_OK(Put(*engine_, "a1", "again"));
  ASSERT_OK(Put(*engine_, "b1", "again"));
  ASSERT_OK(Sync(*engine_));
  EXPECT_EQ(engine_->stats().damaged_key_count, 0u);
  ASSERT_OK_AND_ASSIGN(findings, ScrubPass(*engine_));
  EXPECT_TRUE(findings.empty());
  EXPECT_EQ(engine_->stats().damaged_key_count, 0u);
}

TEST_P(EngineScrubTest, DamageOfRecordsThatWereReplacedIsCountedOnly) {
  ASSERT_OK(Put(*engine_, "a2", "newer"));
  const Mutation deletion{.kind = Mutation::Kind::kDelete, .key = "b2"};
  ASSERT_OK(engine_->Write({deletion}, Atomicity::kEach, Noon()));
  ASSERT_OK(Sync(*engine_));
  ASSERT_OK(Settle(*engine_));
  fs_.FlipBit(SegmentPath(1), OffsetOfFrame(2) + kFrameHeaderBytes + 3, 0);
  fs_.FlipBit(SegmentPath(1), OffsetOfFrame(2) + kFrameHeaderBytes + kRecordABytes + 3, 0);
  ASSERT_OK_AND_ASSIGN(const std::vector<ScrubFinding> findings, ScrubPass(*engine_));
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].key_count, 0u);
  EXPECT_EQ(engine_->stats().scrub_damaged_count, 1u);
  EXPECT_EQ(engine_->stats().damaged_key_count, 0u);
  EXPECT_TRUE(DamagedKeys(*engine_, keys_).empty());
}

TEST_P(EngineScrubTest, SeveralStretchesAndTheHeaderPageAreToldApart) {
  ASSERT_OK(Settle(*engine_));
  fs_.FlipBit(SegmentPath(1), 50, 0);
  for (const int number : {2, 3, 5, kFrameCount}) {
    fs_.FlipBit(SegmentPath(1), OffsetOfFrame(number) + kFrameHeaderBytes + 3, 0);
  }
  // A frame that does not even say how long it is.
  fs_.FlipBit(SegmentPath(1), OffsetOfFrame(5), 0);
  ASSERT_OK_AND_ASSIGN(const std::vector<ScrubFinding> findings, ScrubPass(*engine_));
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].place_count, 4u) << "the header page; 2 and 3; 5; the last";
  EXPECT_EQ(findings[0].key_count, 4u);
  EXPECT_THAT(DamagedKeys(*engine_, keys_),
              ElementsAre("a2", "a3", "a5", absl::StrCat("a", kFrameCount)));
}

// Makes `bytes` what stands at `offset`, as only a bug or a very rare accident would.
void Overwrite(MemoryFileSystem& fs, const std::string& path, uint64_t offset,
               absl::string_view bytes) {
  const std::string contents = fs.Contents(path);
  for (size_t i = 0; i < bytes.size(); ++i) {
    const int difference = static_cast<uint8_t>(contents[offset + i] ^ bytes[i]);
    for (int bit = 0; bit < 8; ++bit) {
      if ((difference >> bit & 1) != 0) fs.FlipBit(path, offset + i, bit);
    }
  }
}

// Changes byte `index` of frame `number`'s payload, whose first record has `record_bytes`, and
// makes all checksums right again.
void ForgeFirstRecord(MemoryFileSystem& fs, int number, uint64_t index, uint64_t record_bytes) {
  const std::string path = SegmentPath(1);
  std::string frame =
      fs.Contents(path).substr(static_cast<uint64_t>(number) * kPageBytes, kPageBytes);
  frame[kFrameHeaderBytes + index] ^= 1;
  const uint32_t record_crc =
      base::Crc32c(absl::string_view(frame).substr(kFrameHeaderBytes + 4, record_bytes - 4));
  std::memcpy(frame.data() + kFrameHeaderBytes, &record_crc, sizeof(record_crc));
  FrameHeader header;
  std::memcpy(&header, frame.data(), sizeof(header));
  header.payload_crc32c =
      base::Crc32c(absl::string_view(frame).substr(kFrameHeaderBytes, header.payload_bytes));
  header.header_crc32c = FrameHeaderCrc(header);
  std::memcpy(frame.data(), &header, sizeof(header));
  Overwrite(fs, path, static_cast<uint64_t>(number) * kPageBytes, frame);
}

TEST_P(EngineScrubTest, AValueThatIsNotTheOneDigestedIsDamage) {
  ASSERT_OK(Settle(*engine_));
  ForgeFirstRecord(fs_, 4, kRecordHeaderBytes + 2, kRecordABytes);
  ASSERT_OK_AND_ASSIGN(const std::vector<ScrubFinding> findings, ScrubPass(*engine_));
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_THAT(findings[0].cause, HasSubstr("digest"));
  EXPECT_THAT(findings[0].key_ids, ElementsAre(base::KeyIdOf("a4")));
  EXPECT_THAT(engine_->Get("a4", Noon()), StatusIs(absl::StatusCode::kDataLoss));
}

TEST_P(EngineScrubTest, ARecordOfAnotherVersionThanItsEntryTellsIsDamage) {
  ASSERT_OK(Settle(*engine_));
  ForgeFirstRecord(fs_, 4, offsetof(RecordHeader, hlc), kRecordABytes);
  // In memory, that is: to look up those on disk would cost a page for each record.
  ASSERT_OK_AND_ASSIGN(const std::vector<ScrubFinding> findings, ScrubPass(*engine_));
  ASSERT_EQ(findings.size(), GetParam() == Entries::kHot ? 1u : 0u);
  if (findings.empty()) return;
  EXPECT_THAT(findings[0].key_ids, ElementsAre(base::KeyIdOf("a4")));
}

TEST_P(EngineScrubTest, ADeviceThatFailsIsNoDamageAndTheNextStepGoesOnBehindIt) {
  ASSERT_OK(Settle(*engine_));
  // Of the reads of segment 1: its header, then its frames.
  for (const uint64_t call : {1, 2}) {
    fs_.InjectFault({.operation = MemoryFileSystem::Operation::kRead, .call = call});
    int error_count = 0;
    for (bool ended = false; !ended;) {
      const absl::StatusOr<ScrubProgress> progress = engine_->Scrub();
      if (progress.ok()) {
        EXPECT_FALSE(progress->finding.has_value());
        ended = progress->ended_pass;
      } else {
        EXPECT_THAT(progress, StatusIs(absl::StatusCode::kUnavailable));
        ++error_count;
      }
    }
    EXPECT_EQ(error_count, 1);
  }
  EXPECT_OK(engine_->status());
  EXPECT_EQ(engine_->stats().scrub_damaged_count, 0u);
  EXPECT_EQ(engine_->stats().damaged_key_count, 0u);
}

INSTANTIATE_TEST_SUITE_P(All, EngineScrubTest, ::testing::Values(Entries::kHot, Entries::kCold),
                         [](const auto& info) {
                           return info.param == Entries::kHot ? "Hot" : "Cold";
                         });

TEST(EngineScrubRunsTest, ADamagedPageOfARunStopsTheEngineAndTheNextStartBuildsItAnew) {
  constexpr int kKeyCount = 300;
  Options options = ColdOptions();
  options.scrub_step_bytes = kPageBytes;
  MemoryFileSystem fs;
  base::Random rng(1);
  ASSERT_OK_AND_ASSIGN(std::unique_ptr<Engine> engine,
                       Engine::Open(&fs, kDirectory, options, &rng, nullptr));
  for (int i = 0; i < kKeyCount; ++i) ASSERT_OK(Put(*engine, absl::StrCat("key", i), "value"));
  ASSERT_OK(Settle(*engine));
  ASSERT_OK(ScrubPass(*engine));
  ASSERT_OK(engine->Close());
  engine.reset();
  std::vector<std::string> runs;
  ASSERT_OK_AND_ASSIGN(const std::vector<std::string> names, fs.ListDirectory(kDirectory));
  for (const std::string& name : names) {
    if (ParseRunFileName(name).has_value()) runs.push_back(JoinPath(kDirectory, name));
  }
  ASSERT_FALSE(runs.empty());
  // The first data page, and the last, of the oldest.
  for (const bool last : {false, true}) {
    const std::unique_ptr<MemoryFileSystem> disk = fs.Clone();
    ASSERT_OK_AND_ASSIGN(engine, Engine::Open(disk.get(), kDirectory, options, &rng, nullptr));
    const std::string contents = disk->Contents(runs[0]);
    RunHeader header;
    std::memcpy(&header, contents.data(), sizeof(header));
    disk->FlipBit(runs[0], (last ? header.page_count : 1) * kPageBytes + 100, 3);
    EXPECT_THAT(ScrubPass(*engine), ::testing::Not(base::testing::IsOk()));
    EXPECT_THAT(engine->status(), StatusIs(absl::StatusCode::kUnavailable));
    engine.reset();
    ASSERT_OK_AND_ASSIGN(engine, Engine::Open(disk.get(), kDirectory, options, &rng, nullptr));
    EXPECT_EQ(AllEntries(*engine).size(), size_t{kKeyCount});
    EXPECT_OK(ScrubPass(*engine));
    engine.reset();  // Before its disk.
  }
}

TEST(EngineScrubStartTest, AQuarantinedKeyStaysOneThroughCheckpointsAndStarts) {
  const Options options = ColdOptions();
  MemoryFileSystem fs;
  base::Random rng(1);
  ASSERT_OK_AND_ASSIGN(std::unique_ptr<Engine> engine,
                       Engine::Open(&fs, kDirectory, options, &rng, nullptr));
  engine->PauseCompaction(true);
  ASSERT_OK(Put(*engine, "damaged", "a value that is easily found"));
  for (int i = 0; i < 200; ++i) ASSERT_OK(Put(*engine, absl::StrCat("key", i), "value"));
  ASSERT_OK(Settle(*engine));
  fs.FlipBit(SegmentPath(1), fs.Contents(SegmentPath(1)).find("a value that is"), 0);
  ASSERT_OK(ScrubPass(*engine));
  ASSERT_EQ(engine->stats().damaged_key_count, 1u);
  // The observer's derived state, which a checkpoint saves, is without the key: so must be the
  // runs.
  for (int i = 0; i < 200; ++i) ASSERT_OK(Put(*engine, absl::StrCat("more", i), "value"));
  ASSERT_OK(Settle(*engine));
  ASSERT_OK(engine->Close());
  engine.reset();
  ASSERT_OK_AND_ASSIGN(engine, Engine::Open(&fs, kDirectory, options, &rng, nullptr));
  EXPECT_TRUE(engine->recovery_report().damaged.empty()) << "it is read from the checkpoint";
  EXPECT_EQ(AllEntries(*engine).size(), 400u);
  EXPECT_THAT(engine->Get("damaged", Noon()), StatusIs(absl::StatusCode::kDataLoss));
}

// Writes, deletes, flushes, background steps, scrubbing and bits that flip, in any order.
class EngineScrubMixtureTest : public ::testing::TestWithParam<int> {
 protected:
  static constexpr int kKeyCount = 40;

  static std::string KeyOf(uint64_t number) { return absl::StrCat("key", number); }

  // Nothing, the value, or "damaged".
  std::string Read(const std::string& key) {
    const absl::StatusOr<ReadResult> read = engine_->Get(key, Noon());
    if (absl::IsDataLoss(read.status())) return "damaged";
    EXPECT_OK(read);
    return read.ok() ? read->value : "";
  }

  void WriteSome() {
    const std::string key = KeyOf(draw_.Below(kKeyCount));
    const bool deletes = draw_.OneIn(5);
    const std::string value =
        deletes ? "" : absl::StrCat(++write_count_, std::string(draw_.Below(700), 'v'));
    const Mutation mutation{.kind = deletes ? Mutation::Kind::kDelete : Mutation::Kind::kPut,
                            .key = key,
                            .value = value};
    ASSERT_OK(engine_->Write({mutation}, Atomicity::kEach, Noon()));
    expected_[key] = value;
  }

  // Flips a bit of a segment that takes no more frames.
  void FlipSome() {
    std::vector<uint64_t> numbers;
    ASSERT_OK_AND_ASSIGN(const std::vector<std::string> names, fs_.ListDirectory(kDirectory));
    for (const std::string& name : names) {
      const auto number = ParseSegmentFileName(name);
      if (number.has_value() && !IsZeroAt(*number, kPageBytes)) numbers.push_back(*number);
    }
    if (numbers.size() < 2) return;
    numbers.pop_back();
    const std::string path = SegmentPath(numbers[draw_.Below(numbers.size())]);
    fs_.FlipBit(path, draw_.Below(fs_.Contents(path).size()), static_cast<int>(draw_.Below(8)));
  }

  bool IsZeroAt(uint64_t segment_number, uint64_t offset) {
    return fs_.Contents(SegmentPath(segment_number)).substr(offset, 4) == std::string(4, '\0');
  }

  void Step() {
    switch (draw_.Below(6)) {
      case 0:
        ASSERT_OK(Sync(*engine_));
        break;
      case 1:
        ASSERT_OK(engine_->Maintain());
        break;
      case 2:
        for (uint64_t steps = draw_.Below(4); steps > 0; --steps) ASSERT_OK(engine_->Scrub());
        break;
      case 3:
        if (draw_.OneIn(8)) FlipSome();
        break;
      default:
        WriteSome();
        break;
    }
  }

  MemoryFileSystem fs_;
  base::Random rng_{1};
  base::Random draw_{static_cast<uint64_t>(GetParam())};
  std::unique_ptr<Engine> engine_;
  std::map<std::string, std::string> expected_;
  uint64_t write_count_ = 0;
};

TEST_P(EngineScrubMixtureTest, APassLeavesNoDamageForAReadToFind) {
  Options options = GetParam() % 2 == 0 ? SmallOptions() : ColdOptions();
  options.scrub_step_bytes = GetParam() % 3 == 0 ? 1 : 8192;
  options.compression = Compression::kNone;
  ASSERT_OK_AND_ASSIGN(engine_, Engine::Open(&fs_, kDirectory, options, &rng_, nullptr));
  for (int step = 0; step < 1500; ++step) ASSERT_NO_FATAL_FAILURE(Step());
  // The last segment in use, which is not scrubbed, was never damaged. The pass under way may be
  // past the last flip.
  for (int pass = 0; pass < 2; ++pass) ASSERT_OK(ScrubPass(*engine_));
  const std::vector<Entry> entries = AllEntries(*engine_);
  for (const Entry& entry : entries) EXPECT_OK(engine_->GetRecord(entry.key_id, nullptr));
  EXPECT_EQ(AllEntries(*engine_).size(), entries.size()) << "a read found damage after a pass";
  uint64_t damaged_count = 0;
  for (const auto& [key, value] : expected_) {
    const std::string read = Read(key);
    if (read == "damaged") {
      ++damaged_count;
    } else {
      EXPECT_EQ(read, value) << key;
    }
  }
  EXPECT_EQ(entries.size() + damaged_count, expected_.size());
}

INSTANTIATE_TEST_SUITE_P(Seeds, EngineScrubMixtureTest, ::testing::Range(1, 25));

}  // namespace
}  // namespace slipstream::storage
