// The format of a run of the Sorted Log, version 1, byte for byte. Every later version must read
// this file.
//
// If the second test fails on purpose, the file as it is now lies in TEST_UNDECLARED_OUTPUTS_DIR.

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/check.h"
#include "base/random.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/file_system.h"
#include "storage/memory_file_system.h"
#include "storage/run_reader.h"
#include "storage/testing/small_runs.h"

namespace slipstream::storage {
namespace {

constexpr absl::string_view kName = "0000000000000001.run";

std::string ReadGolden() {
  std::ifstream file(absl::StrCat("tests/golden/sorted_log_v1/", kName), std::ios::binary);
  SLIP_CHECK(file.good());
  return {std::istreambuf_iterator<char>(file), {}};
}

// A full page and one more entry.
testing::RunContent GoldenContent() {
  base::Random rng(2026);
  return testing::DrawRunContent(rng, kRunEntriesPerPage + 1);
}

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
  if (const char* const outputs = std::getenv("TEST_UNDECLARED_OUTPUTS_DIR"); outputs != nullptr) {
    std::ofstream(absl::StrCat(outputs, "/", kName), std::ios::binary) << bytes;
  }
  EXPECT_TRUE(bytes == ReadGolden());
}

}  // namespace
}  // namespace slipstream::storage
