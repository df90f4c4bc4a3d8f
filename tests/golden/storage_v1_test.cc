// The disk format, version 1, byte for byte. Every later version must read these files; only a new
// format version may make the writer produce others, and then these stay.
//
// If the second test fails on purpose, the files as they are now lie in
// TEST_UNDECLARED_OUTPUTS_DIR.

#include <cstddef>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "base/key_id.h"
#include "base/random.h"
#include "base/testing/status_matchers.h"
#include "base/version.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/engine.h"
#include "storage/entry.h"
#include "storage/file_system.h"
#include "storage/manifest.h"
#include "storage/memory_file_system.h"
#include "storage/options.h"
#include "storage/recovery_report.h"
#include "storage/segment.h"
#include "storage/write_stream.h"

namespace slipstream::storage {
namespace {

constexpr absl::string_view kDirectory = "/data";
constexpr absl::string_view kGolden = "tests/golden/storage_v1";
// A value of each codec. Made from docs/storage_format.md by other code than the engine's; written
// anew they may differ, as the libraries are free to compress better.
constexpr absl::string_view kGoldenCodecs = "tests/golden/storage_v1_codecs";
// What compaction left of ten segments: a manifest, and the segments that are in use.
constexpr absl::string_view kGoldenCompacted = "tests/golden/storage_v1_compacted";
// Recycled segments: one full, one in use with old bytes behind its frame, one prepared.
constexpr absl::string_view kGoldenRecycled = "tests/golden/storage_v1_recycled";
// A transaction of twelve records, from the second frame of segment 1 to the first of segment 2.
constexpr absl::string_view kGoldenSpanning = "tests/golden/storage_v1_spanning";
// A streamed transaction of three records in segment 1, put "between" among them; its Commit and
// what a rolled back one left in segment 2.
constexpr absl::string_view kGoldenStreamed = "tests/golden/storage_v1_streamed";
const char* const kNames[] = {"0000000000000001.log", "0000000000000002.log", "identity"};

const char* const kCompactedNames[] = {"000000000000000b.log", "000000000000000c.log", "identity",
                                       "manifest"};

const char* const kRecycledNames[] = {"0000000000000007.log", "0000000000000008.log",
                                      "0000000000000009.log", "identity", "manifest"};

absl::Time Now() { return absl::FromUnixSeconds(1'700'000'000); }

Options GoldenOptions() {
  Options options;
  options.limits = {.key_bytes_max = 64,
                    .value_bytes_max = 1024,
                    .batch_operations_max = 8,
                    .batch_bytes_max = 2048};
  options.segment_bytes = 16384;
  options.frame_bytes_target = 4096;
  return options;
}

std::string ReadGolden(absl::string_view name, absl::string_view directory = kGolden) {
  std::ifstream file(absl::StrCat(directory, "/", name), std::ios::binary);
  SLIP_CHECK(file.good());
  return {std::istreambuf_iterator<char>(file), {}};
}

// Copies a file of `fs` to the test's outputs, if it has a place for them.
void LeaveInOutputs(const MemoryFileSystem& fs, absl::string_view name, absl::string_view prefix) {
  const char* const outputs = std::getenv("TEST_UNDECLARED_OUTPUTS_DIR");
  if (outputs == nullptr) return;
  std::ofstream(absl::StrCat(outputs, "/", prefix, name), std::ios::binary)
      << fs.Contents(JoinPath(kDirectory, name));
}

void Sync(Engine& engine) { SLIP_CHECK_OK(engine.Flush(Engine::FlushMode::kSync).status()); }

// Everything the format knows: a put, a transaction, a delete, a record of another node with an
// expiry, a full segment, a witness, a clean end.
void WriteStore(MemoryFileSystem& fs) {
  base::Random rng(2026);
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Engine> engine,
                       Engine::Open(&fs, kDirectory, GoldenOptions(), &rng, nullptr));
  ASSERT_OK(engine->Write({Mutation{.key = "hello", .value = "world"}}, Atomicity::kEach, Now()));
  Sync(*engine);
  ASSERT_OK(
      engine->Write({Mutation{.key = "left", .value = "1"}, Mutation{.key = "right", .value = "2"}},
                    Atomicity::kAll, Now()));
  ASSERT_OK(engine->Write({Mutation{.kind = Mutation::Kind::kDelete, .key = "gone"}},
                          Atomicity::kEach, Now()));
  Sync(*engine);
  const Record foreign{.key = "foreign",
                       .value = "from another node",
                       .version = {.hlc = 0x018bcfe568000007, .actor = base::ActorId{0xabcdef}},
                       .sequence = 41,
                       .expires_at_ms = 1'800'000'000'000};
  ASSERT_OK(engine->Apply({foreign}, Atomicity::kEach, Now()));
  Sync(*engine);
  ASSERT_OK(
      engine->Write({Mutation{.key = "second", .value = "segment"}}, Atomicity::kEach, Now()));
  ASSERT_OK(engine->Close());
}

TEST(StorageV1Test, GoldenFilesAreRead) {
  MemoryFileSystem fs;
  for (const char* name : kNames) fs.Install(JoinPath(kDirectory, name), ReadGolden(name));
  base::Random rng(1);
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Engine> engine,
                       Engine::Open(&fs, kDirectory, GoldenOptions(), &rng, nullptr));
  const RecoveryReport& report = engine->recovery_report();
  EXPECT_TRUE(report.clean);
  EXPECT_FALSE(report.new_actor);
  EXPECT_FALSE(report.tail_cut);
  EXPECT_TRUE(report.damaged.empty());
  EXPECT_EQ(report.record_count, 7u);
  EXPECT_EQ(report.frame_count, 5u);
  EXPECT_EQ(report.segment_count, 2u);
  EXPECT_EQ(engine->appended_lsn(), 7u);
  for (const auto& [key, value] : std::vector<std::pair<std::string, std::string>>{
           {"hello", "world"}, {"left", "1"}, {"right", "2"}, {"second", "segment"}}) {
    ASSERT_OK_AND_ASSIGN(const ReadResult read, engine->Get(key, Now()));
    EXPECT_EQ(read.value, value) << key;
  }
  ASSERT_OK_AND_ASSIGN(const Record gone, engine->GetRecord(base::KeyIdOf("gone"), nullptr));
  EXPECT_TRUE(gone.tombstone);
  ASSERT_OK_AND_ASSIGN(const Record foreign, engine->GetRecord(base::KeyIdOf("foreign"), nullptr));
  EXPECT_EQ(foreign.value, "from another node");
  EXPECT_EQ(foreign.version.hlc, 0x018bcfe568000007u);
  EXPECT_EQ(foreign.version.actor, base::ActorId{0xabcdef});
  EXPECT_EQ(foreign.sequence, 41u);
  EXPECT_EQ(foreign.expires_at_ms, 1'800'000'000'000u);
}

TEST(StorageV1Test, GoldenFilesWithCompressedValuesAreRead) {
  MemoryFileSystem fs;
  for (const char* name : {"0000000000000001.log", "identity"}) {
    fs.Install(JoinPath(kDirectory, name), ReadGolden(name, kGoldenCodecs));
  }
  base::Random rng(1);
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Engine> engine,
                       Engine::Open(&fs, kDirectory, GoldenOptions(), &rng, nullptr));
  EXPECT_TRUE(engine->recovery_report().clean);
  EXPECT_FALSE(engine->recovery_report().tail_cut);
  EXPECT_TRUE(engine->recovery_report().damaged.empty());
  std::string words;
  for (int i = 0; i < 20; ++i) words += "slipstream ";
  std::string numbers;
  for (int i = 0; i < 100; ++i) absl::StrAppend(&numbers, "{\"number\":", i, "}");
  for (const auto& [key, value] : std::vector<std::pair<std::string, std::string>>{
           {"as is", "stored as it is"}, {"lz4", words}, {"zstd", numbers}}) {
    ASSERT_OK_AND_ASSIGN(const ReadResult read, engine->Get(key, Now()));
    EXPECT_EQ(read.value, value) << key;
  }
}

// Writes the store of kGoldenCompacted. Which segments compaction chooses is no part of the format.
void WriteCompactedStore(MemoryFileSystem& fs) {
  base::Random rng(2026);
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Engine> engine,
                       Engine::Open(&fs, kDirectory, GoldenOptions(), &rng, nullptr));
  ASSERT_OK(engine->Write({Mutation{.key = "hello", .value = "world"}}, Atomicity::kEach, Now()));
  ASSERT_OK(
      engine->Write({Mutation{.key = "left", .value = "1"}, Mutation{.key = "right", .value = "2"}},
                    Atomicity::kAll, Now()));
  ASSERT_OK(engine->Write({Mutation{.kind = Mutation::Kind::kDelete, .key = "gone"}},
                          Atomicity::kEach, Now()));
  for (int i = 0; i < 30; ++i) {
    ASSERT_OK(engine->Write({Mutation{.key = "again", .value = absl::StrCat("and again ", i)}},
                            Atomicity::kEach, Now()));
    Sync(*engine);
  }
  bool more = true;
  while (more) {
    ASSERT_OK_AND_ASSIGN(more, engine->Maintain());
  }
  ASSERT_OK(engine->Close());
}

void CheckCompactedStore(MemoryFileSystem& fs) {
  base::Random rng(1);
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Engine> engine,
                       Engine::Open(&fs, kDirectory, GoldenOptions(), &rng, nullptr));
  EXPECT_TRUE(engine->recovery_report().clean);
  EXPECT_FALSE(engine->recovery_report().manifest_damaged);
  EXPECT_TRUE(engine->recovery_report().damaged.empty());
  for (const auto& [key, value] : std::vector<std::pair<std::string, std::string>>{
           {"hello", "world"}, {"left", "1"}, {"right", "2"}, {"again", "and again 29"}}) {
    ASSERT_OK_AND_ASSIGN(const ReadResult read, engine->Get(key, Now()));
    EXPECT_EQ(read.value, value) << key;
  }
  ASSERT_OK_AND_ASSIGN(const Record gone, engine->GetRecord(base::KeyIdOf("gone"), nullptr));
  EXPECT_TRUE(gone.tombstone);
  EXPECT_EQ(engine->stats().tombstone_count, 1u);
}

TEST(StorageV1Test, GoldenFilesOfACompactedStoreAreRead) {
  MemoryFileSystem fs;
  for (const char* name : kCompactedNames) {
    fs.Install(JoinPath(kDirectory, name), ReadGolden(name, kGoldenCompacted));
  }
  const std::string bytes = ReadGolden("manifest", kGoldenCompacted);
  ASSERT_OK_AND_ASSIGN(const Manifest manifest, DecodeManifest(bytes));
  EXPECT_TRUE(EncodeManifest(manifest) == bytes);
  ASSERT_EQ(manifest.gaps.size(), 1u);
  EXPECT_EQ(manifest.gaps[0].first_number, 1u);
  EXPECT_EQ(manifest.gaps[0].last_number, 10u);
  CheckCompactedStore(fs);
}

TEST(StorageV1Test, WriterStillProducesACompactedStore) {
  MemoryFileSystem fs;
  WriteCompactedStore(fs);
  ASSERT_OK_AND_ASSIGN(const std::vector<std::string> names, fs.ListDirectory(kDirectory));
  for (const std::string& name : names) LeaveInOutputs(fs, name, "compacted_");
  ASSERT_OK(ReadManifest(&fs, kDirectory));
  CheckCompactedStore(fs);
}

// Writes the store of kGoldenRecycled. Which segments are recycled, and when, is no part of the
// format.
void WriteRecycledStore(MemoryFileSystem& fs) {
  base::Random rng(2026);
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Engine> engine,
                       Engine::Open(&fs, kDirectory, GoldenOptions(), &rng, nullptr));
  ASSERT_OK(engine->Write({Mutation{.key = "hello", .value = "world"}}, Atomicity::kEach, Now()));
  // Until the last segment in use and the one that follows it are recycled.
  for (int i = 0; engine->stats().recycled_segment_count < 6; ++i) {
    ASSERT_LT(i, 1000);
    ASSERT_OK(engine->Write({Mutation{.key = "again", .value = absl::StrCat("and again ", i)}},
                            Atomicity::kEach, Now()));
    Sync(*engine);
    ASSERT_OK(engine->Maintain());
  }
  ASSERT_OK(engine->Write({Mutation{.key = "last", .value = "one"}}, Atomicity::kEach, Now()));
  ASSERT_OK(engine->Close());
}

void CheckRecycledStore(MemoryFileSystem& fs, absl::string_view again) {
  base::Random rng(1);
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Engine> engine,
                       Engine::Open(&fs, kDirectory, GoldenOptions(), &rng, nullptr));
  EXPECT_TRUE(engine->recovery_report().clean);
  EXPECT_FALSE(engine->recovery_report().tail_cut);
  EXPECT_TRUE(engine->recovery_report().damaged.empty());
  for (const auto& [key, value] : std::vector<std::pair<std::string, std::string>>{
           {"hello", "world"}, {"again", std::string(again)}, {"last", "one"}}) {
    ASSERT_OK_AND_ASSIGN(const ReadResult read, engine->Get(key, Now()));
    EXPECT_EQ(read.value, value) << key;
  }
  ASSERT_OK(engine->Write({Mutation{.key = "one", .value = "more"}}, Atomicity::kEach, Now()));
  Sync(*engine);
}

TEST(StorageV1Test, GoldenFilesOfRecycledSegmentsAreRead) {
  MemoryFileSystem fs;
  for (const char* name : kRecycledNames) {
    fs.Install(JoinPath(kDirectory, name), ReadGolden(name, kGoldenRecycled));
  }
  CheckRecycledStore(fs, "and again 13");
  // That life has gone on over the old bytes of segment 8, and left those behind it.
  const std::string before = ReadGolden("0000000000000008.log", kGoldenRecycled);
  const std::string after = fs.Contents(JoinPath(kDirectory, "0000000000000008.log"));
  EXPECT_FALSE(after.substr(8192, 4096) == before.substr(8192, 4096));
  EXPECT_TRUE(after.substr(12288) == before.substr(12288));
}

TEST(StorageV1Test, WriterStillRecycles) {
  MemoryFileSystem fs;
  WriteRecycledStore(fs);
  ASSERT_OK_AND_ASSIGN(const std::vector<std::string> names, fs.ListDirectory(kDirectory));
  for (const std::string& name : names) LeaveInOutputs(fs, name, "recycled_");
  bool is_marked = false;
  for (const std::string& name : names) {
    if (!ParseSegmentFileName(name).has_value()) continue;
    is_marked = is_marked || ReadRecycledMark(fs.Contents(JoinPath(kDirectory, name))).has_value();
  }
  EXPECT_TRUE(is_marked);
}

// The values of the transaction in kGoldenSpanning.
std::vector<std::string> SpanningValues() {
  base::Random rng(12);
  std::vector<std::string> values;
  for (int i = 0; i < 12; ++i) values.push_back(rng.Bytes(700));  // Nothing to be compressed.
  return values;
}

void WriteSpanningStore(MemoryFileSystem& fs) {
  base::Random rng(2026);
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Engine> engine,
                       Engine::Open(&fs, kDirectory, GoldenOptions(), &rng, nullptr));
  ASSERT_OK(engine->Write({Mutation{.key = "hello", .value = "world"}}, Atomicity::kEach, Now()));
  const std::vector<std::string> values = SpanningValues();
  std::vector<std::string> keys;
  for (size_t i = 0; i < values.size(); ++i) keys.push_back(absl::StrCat("key", i));
  std::vector<Mutation> mutations;
  for (size_t i = 0; i < values.size(); ++i) {
    mutations.push_back({.key = keys[i], .value = values[i]});
  }
  ASSERT_OK(engine->Transact({}, mutations, Now()));
  ASSERT_OK(engine->Write({Mutation{.key = "after", .value = "it"}}, Atomicity::kEach, Now()));
  ASSERT_OK(engine->Close());
}

TEST(StorageV1Test, GoldenFilesWithATransactionOfSeveralFramesAreRead) {
  MemoryFileSystem fs;
  for (const char* name : kNames) {
    fs.Install(JoinPath(kDirectory, name), ReadGolden(name, kGoldenSpanning));
  }
  base::Random rng(1);
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Engine> engine,
                       Engine::Open(&fs, kDirectory, GoldenOptions(), &rng, nullptr));
  EXPECT_TRUE(engine->recovery_report().clean);
  EXPECT_FALSE(engine->recovery_report().tail_cut);
  EXPECT_TRUE(engine->recovery_report().damaged.empty());
  EXPECT_EQ(engine->appended_lsn(), 1u + 12u + 1u + 1u);
  const std::vector<std::string> values = SpanningValues();
  for (size_t i = 0; i < values.size(); ++i) {
    ASSERT_OK_AND_ASSIGN(const ReadResult read, engine->Get(absl::StrCat("key", i), Now()));
    EXPECT_TRUE(read.value == values[i]) << i;
  }
  ASSERT_OK_AND_ASSIGN(const ReadResult read, engine->Get("after", Now()));
  EXPECT_EQ(read.value, "it");
}

void WriteStreamedStore(MemoryFileSystem& fs) {
  base::Random rng(2026);
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Engine> engine,
                       Engine::Open(&fs, kDirectory, GoldenOptions(), &rng, nullptr));
  WriteStream stream(engine.get());
  ASSERT_OK(engine->Stream({Mutation{.key = "left", .value = "1"}}, stream));
  ASSERT_OK(engine->Write({Mutation{.key = "between", .value = "2"}}, Atomicity::kEach, Now()));
  Sync(*engine);
  ASSERT_OK(engine->Stream({Mutation{.key = "right", .value = "3"},
                            Mutation{.kind = Mutation::Kind::kDelete, .key = "left"}},
                           stream));
  Sync(*engine);
  ASSERT_OK(engine->Write({Mutation{.key = "third", .value = "frame"}}, Atomicity::kEach, Now()));
  Sync(*engine);
  {
    WriteStream abandoned(engine.get());
    ASSERT_OK(engine->Stream({Mutation{.key = "never", .value = "seen"}}, abandoned));
  }
  ASSERT_OK(engine->CommitStream({}, stream, Now()));
  ASSERT_OK(engine->Close());
}

TEST(StorageV1Test, GoldenFilesWithAStreamedTransactionAreRead) {
  MemoryFileSystem fs;
  for (const char* name : kNames) {
    fs.Install(JoinPath(kDirectory, name), ReadGolden(name, kGoldenStreamed));
  }
  base::Random rng(1);
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Engine> engine,
                       Engine::Open(&fs, kDirectory, GoldenOptions(), &rng, nullptr));
  EXPECT_TRUE(engine->recovery_report().clean);
  EXPECT_FALSE(engine->recovery_report().tail_cut);
  EXPECT_TRUE(engine->recovery_report().damaged.empty());
  EXPECT_EQ(engine->appended_lsn(), 8u);
  for (const auto& [key, value] : std::vector<std::pair<std::string, std::string>>{
           {"between", "2"}, {"right", "3"}, {"third", "frame"}}) {
    ASSERT_OK_AND_ASSIGN(const ReadResult read, engine->Get(key, Now()));
    EXPECT_EQ(read.value, value) << key;
  }
  ASSERT_OK_AND_ASSIGN(const Record left, engine->GetRecord(base::KeyIdOf("left"), nullptr));
  EXPECT_TRUE(left.tombstone);
  EXPECT_EQ(left.sequence, 2u);  // The first was of the put that the delete replaced.
  ASSERT_OK_AND_ASSIGN(const Record third, engine->GetRecord(base::KeyIdOf("third"), nullptr));
  EXPECT_GT(left.version, third.version);
  ASSERT_OK_AND_ASSIGN(const ReadResult never, engine->Get("never", Now()));
  EXPECT_FALSE(never.found);
}

// Expects the files of `fs` to be those in `directory`. Leaves them in the test's outputs.
void ExpectGolden(const MemoryFileSystem& fs, absl::string_view directory) {
  for (const char* name : kNames) {
    const std::string bytes = fs.Contents(JoinPath(kDirectory, name));
    LeaveInOutputs(fs, name, absl::StrCat(directory.substr(directory.rfind('/') + 1), "_"));
    EXPECT_TRUE(bytes == ReadGolden(name, directory)) << name << " differs";
  }
}

TEST(StorageV1Test, WriterStillProducesTheGoldenFiles) {
  MemoryFileSystem fs;
  WriteStore(fs);
  ExpectGolden(fs, kGolden);
}

TEST(StorageV1Test, WriterStillProducesATransactionOfSeveralFrames) {
  MemoryFileSystem fs;
  WriteSpanningStore(fs);
  ExpectGolden(fs, kGoldenSpanning);
}

TEST(StorageV1Test, WriterStillProducesAStreamedTransaction) {
  MemoryFileSystem fs;
  WriteStreamedStore(fs);
  ExpectGolden(fs, kGoldenStreamed);
}

}  // namespace
}  // namespace slipstream::storage
