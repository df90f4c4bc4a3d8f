// An index file with hostile edits: whatever it says, it is refused, or it is read within its
// bounds and says the same when it is written again.
//
// Input: edits of 5 bytes: offset (16 bits), what to exclusive-or, what to do (0 nothing more, 1
// cut the file there, 2 append a byte), whether to make the checksums and the length valid again.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/check.h"
#include "base/coding.h"
#include "base/crc32c.h"
#include "base/key_id.h"
#include "storage/file_system.h"
#include "storage/index_file.h"
#include "storage/memory_file_system.h"
#include "storage/run_merge_cursor.h"

namespace slipstream::storage {
namespace {

constexpr size_t kEditBytes = 5;
constexpr absl::string_view kDirectory = "/d";

std::string Encode(const LoadedIndex& loaded) {
  MemoryFileSystem fs;
  SLIP_CHECK_OK(fs.CreateDirectory(kDirectory));
  SLIP_CHECK_OK(WriteIndex(
      &fs, kDirectory, loaded.index,
      [&loaded](uint8_t shard) { return std::string(loaded.derived[shard]); },
      [&loaded] { return loaded.index.durable_lsn; }, [] { return absl::OkStatus(); }));
  return fs.Contents(JoinPath(kDirectory, kIndexFileName));
}

std::string MakeFile() {
  LoadedIndex loaded;
  Index& index = loaded.index;
  index.node_id = 1;
  index.run_numbers = {9, 7, 4};
  index.segments = {{.number = 1, .dead_bytes = 100}, {.number = 2, .dead_bytes = 200}};
  for (int shard = 0; shard < base::kShardCount; ++shard) {
    index.shards[shard] = {.segment_number = 3, .offset = static_cast<uint32_t>(shard)};
    loaded.derived[shard] = absl::string_view("saved").substr(0, shard % 6);
  }
  return Encode(loaded);
}

void Reseal(std::string& file) {
  if (file.size() < kIndexHeaderBytes) return;
  const absl::string_view bytes(file);
  base::StoreLittle<uint64_t>(file.size(), file.data() + offsetof(IndexHeader, file_bytes));
  base::StoreLittle<uint32_t>(base::Crc32c(bytes.substr(kIndexHeaderBytes)),
                              file.data() + offsetof(IndexHeader, body_crc32c));
  constexpr size_t kFrom = offsetof(IndexHeader, format_version);
  base::StoreLittle<uint32_t>(base::Crc32c(bytes.substr(kFrom, kIndexHeaderBytes - kFrom)),
                              file.data() + offsetof(IndexHeader, crc32c));
}

void RunInput(absl::string_view input) {
  std::string file = MakeFile();
  for (; input.size() >= kEditBytes; input.remove_prefix(kEditBytes)) {
    if (file.empty()) file.push_back('\0');
    const size_t offset = base::LoadLittle<uint16_t>(input.data()) % file.size();
    file[offset] = static_cast<char>(file[offset] ^ input[2]);
    if (input[3] == 1) file.resize(offset);
    if (input[3] == 2) file.push_back(input[2]);
    if (input[4] != 0) Reseal(file);
  }
  const absl::StatusOr<LoadedIndex> loaded = DecodeIndex(file);
  if (!loaded.ok()) {
    SLIP_CHECK(absl::IsDataLoss(loaded.status()));
    return;
  }
  SLIP_CHECK(loaded->index.run_numbers.size() <= kRunsMax);
  const absl::StatusOr<LoadedIndex> again = DecodeIndex(Encode(*loaded));
  SLIP_CHECK_OK(again.status());
  SLIP_CHECK(again->index == loaded->index);
  SLIP_CHECK(again->derived == loaded->derived);
  SLIP_CHECK(again->bytes.size() == file.size());
}

}  // namespace
}  // namespace slipstream::storage

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  slipstream::storage::RunInput({reinterpret_cast<const char*>(data), size});
  return 0;
}
