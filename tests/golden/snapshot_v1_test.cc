// A snapshot of format version 1, byte for byte: every later version must verify and restore it.
//
// If the second test fails on purpose, the files as they are now lie in
// TEST_UNDECLARED_OUTPUTS_DIR.

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "base/digest.h"
#include "base/random.h"
#include "base/testing/status_matchers.h"
#include "gtest/gtest.h"
#include "node/merkle_entry_hasher.h"
#include "storage/engine.h"
#include "storage/file_system.h"
#include "storage/memory_file_system.h"
#include "storage/options.h"
#include "storage/snapshot.h"
#include "storage/snapshot_file.h"
#include "storage/snapshot_reader.h"
#include "storage/snapshot_restore.h"
#include "storage/snapshot_source.h"

namespace slipstream::storage {
namespace {

// What it was saved from.
constexpr absl::string_view kStore = "tests/golden/storage_v1";
const char* const kStoreNames[] = {"0000000000000001.log", "0000000000000002.log", "identity"};
constexpr absl::string_view kGolden = "tests/golden/snapshot_v1";
const char* const kNames[] = {"0000000000000001.log", "0000000000000002.log", "identity",
                              "snapshot"};
constexpr absl::string_view kRoot =
    "708861ebbefdec00816c4729d4b9c902c970bcfe503dcc8e8e183fa10c484239";

absl::Time Now() { return absl::FromUnixSeconds(1'700'000'000); }

std::string Path() { return absl::StrCat("/backup/slip-", kRoot.substr(0, 16)); }

std::string ReadGolden(absl::string_view directory, absl::string_view name) {
  std::ifstream file(absl::StrCat(directory, "/", name), std::ios::binary);
  SLIP_CHECK(file.good());
  return {std::istreambuf_iterator<char>(file), {}};
}

void Keep(const char* name, const std::string& bytes) {
  const char* const directory = std::getenv("TEST_UNDECLARED_OUTPUTS_DIR");
  if (directory == nullptr) return;
  std::ofstream(absl::StrCat(directory, "/", name), std::ios::binary) << bytes;
}

TEST(SnapshotV1Test, GoldenSnapshotIsVerifiedAndRestored) {
  MemoryFileSystem fs;
  for (const char* name : kNames) fs.Install(JoinPath(Path(), name), ReadGolden(kGolden, name));
  node::MerkleEntryHasher hasher;
  ASSERT_OK_AND_ASSIGN(const SnapshotFile file, VerifySnapshot(&fs, Path(), {}, hasher));
  EXPECT_EQ(base::ToHex(file.header.root), kRoot);
  EXPECT_EQ(file.header.key_count, 5u);
  EXPECT_EQ(file.header.tombstone_count, 1u);
  EXPECT_EQ(file.node_name, "golden");
  base::Random rng(1);
  ASSERT_OK(RestoreSnapshot(&fs, Path(), "/data", &rng, Now(), hasher));
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Engine> engine,
                       Engine::Open(&fs, "/data", Options{}, &rng, nullptr));
  EXPECT_EQ(engine->Get("hello", Now()).value().value, "world");
  EXPECT_EQ(engine->Get("second", Now()).value().value, "segment");
  EXPECT_FALSE(engine->Get("gone", Now()).value().found);
}

TEST(SnapshotV1Test, TheSameStoreGivesTheSameFiles) {
  MemoryFileSystem fs;
  for (const char* name : kStoreNames) {
    fs.Install(JoinPath("/data", name), ReadGolden(kStore, name));
  }
  Options options;
  options.limits = {.key_bytes_max = 64,
                    .value_bytes_max = 1024,
                    .batch_operations_max = 8,
                    .batch_bytes_max = 2048};
  options.segment_bytes = 16384;
  options.frame_bytes_target = 4096;
  base::Random rng(2);
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Engine> engine,
                       Engine::Open(&fs, "/data", options, &rng, nullptr));
  ASSERT_OK_AND_ASSIGN(const SnapshotSource source, engine->PinSnapshot());
  node::MerkleEntryHasher hasher;
  ASSERT_OK_AND_ASSIGN(
      const SavedSnapshot saved,
      SaveSnapshot(&fs, source, "/backup", {.node_name = "golden", .now = Now()}, hasher));
  EXPECT_EQ(saved.path, Path());
  EXPECT_EQ(fs.ListDirectory(saved.path).value(),
            std::vector<std::string>(std::begin(kNames), std::end(kNames)));
  for (const char* name : kNames) Keep(name, fs.Contents(JoinPath(saved.path, name)));
  for (const char* name : kNames) {
    EXPECT_TRUE(fs.Contents(JoinPath(saved.path, name)) == ReadGolden(kGolden, name)) << name;
  }
}

}  // namespace
}  // namespace slipstream::storage
