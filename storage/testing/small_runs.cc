#include "storage/testing/small_runs.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/coding.h"
#include "base/crc32c.h"
#include "base/status_macros.h"
#include "base/version.h"

namespace slipstream::storage::testing {

base::KeyId NumberedKeyId(uint64_t index) { return base::KeyIdOf(absl::StrCat("key ", index)); }

base::KeyId TiedKeyId(RunFence fence, uint8_t last) {
  base::KeyId key_id;
  base::StoreBig64(fence, key_id.bytes.data());
  key_id.bytes.back() = last;
  return key_id;
}

RunEntry DrawRunEntry(base::Random& rng, const base::KeyId& key_id, uint64_t hlc) {
  RunEntry entry;
  Entry& known = entry.located.entry;
  known.key_id = key_id;
  known.version = {.hlc = hlc, .actor = base::ActorId{rng.Next()}};
  known.sequence = rng.Next();
  known.expires_at_ms = rng.Next();
  const std::string digest = rng.Bytes(known.value_digest.bytes.size());
  std::copy(digest.begin(), digest.end(), known.value_digest.bytes.begin());
  known.record_bytes = static_cast<uint32_t>(rng.Next());
  known.tombstone = rng.OneIn(4);
  entry.located.location = {.segment_number = static_cast<uint32_t>(rng.Next()),
                            .offset = static_cast<uint32_t>(rng.Next())};
  entry.located.damaged = rng.OneIn(5);
  entry.shadow_counted = rng.OneIn(3);
  return entry;
}

RunContent DrawRunContent(base::Random& rng, uint64_t count) {
  RunContent content;
  for (uint64_t i = 0; i < count; ++i) {
    const base::KeyId key_id = NumberedKeyId(i);
    content[key_id] = DrawRunEntry(rng, key_id, 1 + i);
  }
  return content;
}

absl::Status WriteRun(FileSystem* fs, const RunContent& content, uint64_t number) {
  SLIP_RETURN_IF_ERROR(fs->CreateDirectory(kRunDirectory));
  SLIP_ASSIGN_OR_RETURN(
      const std::unique_ptr<RunWriter> writer,
      RunWriter::Create(fs, kRunDirectory, {.node_id = kRunNodeId, .run_number = number}));
  for (const auto& [key_id, entry] : content) SLIP_RETURN_IF_ERROR(writer->Add(entry));
  return writer->Finish().status();
}

absl::StatusOr<std::shared_ptr<const SortedRun>> BuildRun(FileSystem* fs, const RunContent& content,
                                                          uint64_t number) {
  SLIP_RETURN_IF_ERROR(WriteRun(fs, content, number));
  return SortedRun::Open(fs, kRunDirectory, {.node_id = kRunNodeId, .run_number = number});
}

void ResealRunPage(std::string& file, uint64_t page) {
  RunHeader header;
  std::memcpy(&header, file.data(), sizeof(header));
  const absl::string_view bytes(file);
  const uint64_t offset = page * kPageBytes;
  const auto crc = [bytes](uint64_t first, uint64_t end) {
    return base::Crc32c(bytes.substr(first, end - first));
  };
  if (page > 0 && offset < header.fences_offset) {
    base::StoreLittle<uint32_t>(crc(offset + sizeof(uint32_t), offset + kPageBytes),
                                file.data() + offset);
    return;
  }
  header.fences_crc32c = crc(header.fences_offset, header.filter_offset);
  header.filter_crc32c = crc(header.filter_offset, header.file_bytes);
  file.replace(0, kPageBytes, EncodeRunHeader(header));
}

}  // namespace slipstream::storage::testing
