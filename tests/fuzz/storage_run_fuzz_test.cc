// A run with hostile edits: whatever its pages say, it is refused or read within its bounds, what
// is found is what was asked for, and what is walked ascends.
//
// Input: edits of 4 bytes: offset (16 bits), what to exclusive-or, whether to make the checksum of
// that page valid again.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "base/check.h"
#include "base/coding.h"
#include "base/crc32c.h"
#include "base/key_id.h"
#include "base/random.h"
#include "storage/memory_file_system.h"
#include "storage/run_cursor.h"
#include "storage/run_format.h"
#include "storage/run_reader.h"
#include "storage/testing/small_runs.h"

namespace slipstream::storage {
namespace {

constexpr size_t kEditBytes = 4;
constexpr absl::string_view kPath = "/data/0000000000000001.run";
// Pages: header, two of entries, fences, filter.
constexpr uint64_t kEntryCount = kRunEntriesPerPage + 4;

void StoreCrc(std::string& file, size_t place, size_t from, size_t end) {
  const absl::string_view bytes(file);
  base::StoreLittle<uint32_t>(base::Crc32c(bytes.substr(from, end - from)), file.data() + place);
}

void FixChecksum(std::string& file, uint64_t page) {
  const uint64_t offset = page * kPageBytes;
  if (page == 1 || page == 2) StoreCrc(file, offset, offset + 4, offset + kPageBytes);
  if (page == 3) StoreCrc(file, offsetof(RunHeader, fences_crc32c), offset, offset + kPageBytes);
  if (page == 4) StoreCrc(file, offsetof(RunHeader, filter_crc32c), offset, offset + kPageBytes);
  if (page != 1 && page != 2) StoreCrc(file, 8, 12, kPageBytes);
}

absl::StatusOr<std::unique_ptr<SortedRun>> Open(MemoryFileSystem& fs) {
  return SortedRun::Open(&fs, testing::kRunDirectory,
                         {.node_id = testing::kRunNodeId, .run_number = 1});
}

void CheckFinds(const SortedRun& run, const base::KeyId& key_id) {
  const absl::StatusOr<absl::optional<RunEntry>> found = run.Find(key_id);
  SLIP_CHECK(found.ok() || absl::IsDataLoss(found.status()));
  if (!found.ok() || !found->has_value()) return;
  SLIP_CHECK((*found)->key_id() == key_id);
  SLIP_CHECK(run.MayContain(key_id));
}

void CheckWalk(const SortedRun& run) {
  RunCursor cursor(run, base::RangeOf(base::KeyPrefix{}));
  absl::optional<base::KeyId> previous;
  uint64_t count = 0;
  absl::Status status = cursor.Next();
  for (; status.ok() && cursor.valid(); status = cursor.Next()) {
    SLIP_CHECK(!previous || *previous < cursor.entry().key_id());
    previous = cursor.entry().key_id();
    ++count;
  }
  SLIP_CHECK(status.ok() || absl::IsDataLoss(status));
  SLIP_CHECK(count <= run.entry_count());
}

void RunInput(absl::string_view input) {
  base::Random rng(1);
  MemoryFileSystem fs;
  SLIP_CHECK_OK(testing::WriteRun(&fs, testing::DrawRunContent(rng, kEntryCount), 1));
  std::string file = fs.Contents(kPath);
  SLIP_CHECK(file.size() == 5 * kPageBytes);
  std::vector<uint64_t> pages_to_fix;
  for (; input.size() >= kEditBytes; input.remove_prefix(kEditBytes)) {
    const uint64_t offset = base::LoadLittle<uint16_t>(input.data()) % file.size();
    file[offset] = static_cast<char>(file[offset] ^ input[2]);
    if (input[3] != 0) pages_to_fix.push_back(offset / kPageBytes);
  }
  for (const uint64_t page : pages_to_fix) FixChecksum(file, page);
  fs.Install(kPath, file);
  const absl::StatusOr<std::unique_ptr<SortedRun>> run = Open(fs);
  if (!run.ok()) {
    SLIP_CHECK(absl::IsDataLoss(run.status()) || absl::IsFailedPrecondition(run.status()));
    return;
  }
  for (uint64_t i = 0; i < 2 * kEntryCount; ++i) CheckFinds(**run, testing::NumberedKeyId(i));
  CheckFinds(**run, base::KeyId{});
  CheckWalk(**run);
}

}  // namespace
}  // namespace slipstream::storage

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  slipstream::storage::RunInput({reinterpret_cast<const char*>(data), size});
  return 0;
}
