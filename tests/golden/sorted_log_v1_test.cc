// The format of the Sorted Log, version 1, byte for byte: a run, and an index that names it. Every
// later version must read these files.
//
// If a test of the writers fails on purpose, the file as it is now lies in
// TEST_UNDECLARED_OUTPUTS_DIR.

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "base/check.h"
#include "base/key_id.h"
#include "base/random.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/file_system.h"
#include "storage/index_file.h"
#include "storage/memory_file_system.h"
#include "storage/run_format.h"
#include "storage/run_reader.h"
#include "storage/testing/small_runs.h"

namespace slipstream::storage {
namespace {

constexpr absl::string_view kName = "0000000000000001.run";

std::string ReadGolden(absl::string_view name = kName) {
  std::ifstream file(absl::StrCat("tests/golden/sorted_log_v1/", name), std::ios::binary);
  SLIP_CHECK(file.good());
  return {std::istreambuf_iterator<char>(file), {}};
}

// A full page and one more entry.
testing::RunContent GoldenContent() {
  base::Random rng(2026);
  return testing::DrawRunContent(rng, kRunEntriesPerPage + 1);
}

// Keeps the file as it is now for whoever changed the format on purpose.
void Keep(absl::string_view name, const std::string& bytes) {
  if (const char* const outputs = std::getenv("TEST_UNDECLARED_OUTPUTS_DIR"); outputs != nullptr) {
    std::ofstream(absl::StrCat(outputs, "/", name), std::ios::binary) << bytes;
  }
}

// Names the golden run.
Index GoldenIndex() {
  base::Random rng(2026);
  Index index{.node_id = testing::kRunNodeId,
              .actor = rng.Next(),
              .last_hlc = rng.Next(),
              .last_tx_id = rng.Next(),
              .next_run_number = 2,
              .durable_lsn = 2026,
              .run_numbers = {1},
              .segments = {{.number = 3,
                            .flags = kIndexSegmentFull | kIndexSegmentHoldsWrites,
                            .dead_bytes = rng.Next(),
                            .record_bytes = rng.Next()},
                           {.number = 4, .dead_bytes = 1}}};
  for (IndexShard& shard : index.shards) {
    shard = {.segment_number = static_cast<uint32_t>(3 + rng.Below(2)),
             .offset = static_cast<uint32_t>(rng.Next()),
             .last_sequence = rng.Next()};
  }
  return index;
}

std::string GoldenDerived(uint8_t shard) { return base::Random(shard).Bytes(shard % 4); }

TEST(SortedLogV1Test, GoldenFileIsRead) {
  MemoryFileSystem fs;
  fs.Install(JoinPath(testing::kRunDirectory, kName), ReadGolden());
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<SortedRun> run,
                       SortedRun::Open(&fs, testing::kRunDirectory,
                                       {.node_id = testing::kRunNodeId, .run_number = 1}));
  const testing::RunContent content = GoldenContent();
  EXPECT_EQ(run->entry_count(), content.size());
  for (const auto& [key_id, entry] : content) {
    ASSERT_OK_AND_ASSIGN(const absl::optional<RunEntry> found, run->Find(key_id));
    EXPECT_EQ(found, entry);
  }
}

TEST(SortedLogV1Test, WriterStillProducesTheGoldenFile) {
  MemoryFileSystem fs;
  ASSERT_OK(testing::WriteRun(&fs, GoldenContent(), 1));
  const std::string bytes = fs.Contents(JoinPath(testing::kRunDirectory, kName));
  Keep(kName, bytes);
  EXPECT_TRUE(bytes == ReadGolden());
}

TEST(SortedLogV1Test, GoldenIndexIsReadAndNamesTheGoldenRun) {
  MemoryFileSystem fs;
  fs.Install(JoinPath(testing::kRunDirectory, kName), ReadGolden());
  fs.Install(JoinPath(testing::kRunDirectory, kIndexFileName), ReadGolden(kIndexFileName));
  ASSERT_OK_AND_ASSIGN(const LoadedIndex loaded, ReadIndex(&fs, testing::kRunDirectory));
  EXPECT_EQ(loaded.index, GoldenIndex());
  for (int shard = 0; shard < base::kShardCount; ++shard) {
    EXPECT_EQ(loaded.derived[shard], GoldenDerived(static_cast<uint8_t>(shard)));
  }
  for (const uint64_t number : loaded.index.run_numbers) {
    EXPECT_OK(SortedRun::Open(&fs, testing::kRunDirectory,
                              {.node_id = loaded.index.node_id, .run_number = number}));
  }
}

TEST(SortedLogV1Test, WriterStillProducesTheGoldenIndex) {
  MemoryFileSystem fs;
  ASSERT_OK(fs.CreateDirectory(testing::kRunDirectory));
  ASSERT_OK(WriteIndex(
      &fs, testing::kRunDirectory, GoldenIndex(), GoldenDerived,
      [] { return GoldenIndex().durable_lsn; }, [] { return absl::OkStatus(); }));
  const std::string bytes = fs.Contents(JoinPath(testing::kRunDirectory, kIndexFileName));
  Keep(kIndexFileName, bytes);
  EXPECT_TRUE(bytes == ReadGolden(kIndexFileName));
}

}  // namespace
}  // namespace slipstream::storage
