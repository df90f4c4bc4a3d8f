#include "storage/index_file.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/coding.h"
#include "base/crc32c.h"
#include "base/status_macros.h"
#include "storage/run_merge_cursor.h"
#include "storage/segment.h"

namespace slipstream::storage {
namespace {

constexpr size_t kCrcedFrom = offsetof(IndexHeader, format_version);
constexpr size_t kBytesPerWrite = 1 << 20;

template <typename T>
absl::string_view AsBytes(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof(value)};
}

absl::Status Damaged(absl::string_view what) {
  return absl::DataLossError(absl::StrCat(kIndexFileName, ": ", what));
}

absl::StatusOr<IndexHeader> DecodeHeader(absl::string_view bytes) {
  IndexHeader header;
  if (bytes.size() < sizeof(header)) {
    return Damaged(absl::StrFormat("%d bytes, less than a header", bytes.size()));
  }
  std::memcpy(&header, bytes.data(), sizeof(header));
  if (header.magic != kIndexMagic) {
    return Damaged(absl::StrFormat("magic 0x%016x != 0x%016x", header.magic, kIndexMagic));
  }
  if (const uint32_t crc = base::Crc32c(AsBytes(header).substr(kCrcedFrom)); crc != header.crc32c) {
    return Damaged(absl::StrFormat("header crc 0x%08x != 0x%08x", crc, header.crc32c));
  }
  if (header.format_version != kIndexFormatVersion) {
    return Damaged(absl::StrFormat("format version %d", header.format_version));
  }
  if (header.file_bytes != bytes.size()) {
    return Damaged(absl::StrFormat("%d bytes, not %d", bytes.size(), header.file_bytes));
  }
  if (const uint32_t crc = base::Crc32c(bytes.substr(sizeof(header))); crc != header.body_crc32c) {
    return Damaged(absl::StrFormat("body crc 0x%08x != 0x%08x", crc, header.body_crc32c));
  }
  if (header.run_count > kRunsMax) return Damaged(absl::StrFormat("%d runs", header.run_count));
  return header;
}

std::string EncodeTables(const Index& index) {
  std::string bytes;
  for (const IndexShard& shard : index.shards) absl::StrAppend(&bytes, AsBytes(shard));
  for (const uint64_t number : index.run_numbers) absl::StrAppend(&bytes, AsBytes(number));
  for (const IndexSegment& segment : index.segments) absl::StrAppend(&bytes, AsBytes(segment));
  return bytes;
}

// Writes a file from its front, with a running checksum, and its header at last.
class FileWriter {
 public:
  explicit FileWriter(File* file) : file_(file) {}

  absl::Status Append(absl::string_view bytes) {
    buffer_.append(bytes.data(), bytes.size());
    return buffer_.size() < kBytesPerWrite ? absl::OkStatus() : WriteBuffer();
  }

  absl::Status Finish(IndexHeader header) {
    SLIP_RETURN_IF_ERROR(WriteBuffer());
    header.file_bytes = offset_;
    header.body_crc32c = body_crc32c_;
    header.crc32c = base::Crc32c(AsBytes(header).substr(kCrcedFrom));
    SLIP_RETURN_IF_ERROR(file_->Write(0, AsBytes(header)));
    return file_->SyncData();
  }

 private:
  absl::Status WriteBuffer() {
    if (buffer_.empty()) return absl::OkStatus();
    SLIP_RETURN_IF_ERROR(file_->Write(offset_, buffer_));
    body_crc32c_ = base::ExtendCrc32c(body_crc32c_, buffer_);
    offset_ += buffer_.size();
    buffer_.clear();
    return absl::OkStatus();
  }

  File* const file_;
  std::string buffer_;
  uint64_t offset_ = kIndexHeaderBytes;
  uint32_t body_crc32c_ = base::Crc32c({});
};

absl::Status WriteFile(File* file, const Index& index,
                       absl::FunctionRef<std::string(uint8_t shard)> derive,
                       absl::FunctionRef<Lsn()> last_lsn) {
  FileWriter writer(file);
  SLIP_RETURN_IF_ERROR(writer.Append(EncodeTables(index)));
  for (int shard = 0; shard < base::kShardCount; ++shard) {
    const std::string derived = derive(static_cast<uint8_t>(shard));
    const auto derived_bytes = static_cast<uint32_t>(derived.size());
    SLIP_RETURN_IF_ERROR(writer.Append(AsBytes(derived_bytes)));
    SLIP_RETURN_IF_ERROR(writer.Append(derived));
  }
  return writer.Finish({.node_id = index.node_id,
                        .actor = index.actor,
                        .last_hlc = index.last_hlc,
                        .last_tx_id = index.last_tx_id,
                        .next_run_number = index.next_run_number,
                        .run_count = static_cast<uint32_t>(index.run_numbers.size()),
                        .segment_count = static_cast<uint32_t>(index.segments.size()),
                        .durable_lsn = last_lsn()});
}

}  // namespace

Location Index::first_position() const {
  Location first = shards.front().position();
  for (const IndexShard& shard : shards) first = std::min(first, shard.position());
  return first;
}

Location Index::last_position() const {
  Location last = shards.front().position();
  for (const IndexShard& shard : shards) last = std::max(last, shard.position());
  return last;
}

absl::Status WriteIndex(FileSystem* fs, absl::string_view directory, const Index& index,
                        absl::FunctionRef<std::string(uint8_t shard)> derive,
                        absl::FunctionRef<Lsn()> last_lsn,
                        absl::FunctionRef<absl::Status()> before_rename) {
  const std::string path = JoinPath(directory, kIndexFileName);
  const std::string temporary_path = TemporaryName(path);
  if (absl::Status status = fs->Remove(temporary_path); !status.ok() && !absl::IsNotFound(status)) {
    return status;
  }
  {
    SLIP_ASSIGN_OR_RETURN(const std::unique_ptr<File> file,
                          fs->Open(temporary_path, OpenMode::kCreate));
    SLIP_RETURN_IF_ERROR(WriteFile(file.get(), index, derive, last_lsn));
  }
  SLIP_RETURN_IF_ERROR(before_rename());
  SLIP_RETURN_IF_ERROR(fs->Rename(temporary_path, path));
  return fs->SyncDirectory(directory);
}

absl::StatusOr<LoadedIndex> ReadIndex(FileSystem* fs, absl::string_view directory) {
  const std::string path = JoinPath(directory, kIndexFileName);
  SLIP_ASSIGN_OR_RETURN(const std::unique_ptr<File> file, fs->Open(path, OpenMode::kRead));
  SLIP_ASSIGN_OR_RETURN(const uint64_t size, file->Size());
  std::string bytes(size, '\0');
  if (size != 0) SLIP_RETURN_IF_ERROR(file->Read(0, bytes.size(), bytes.data()));
  return DecodeIndex(std::move(bytes));
}

absl::StatusOr<LoadedIndex> DecodeIndex(std::string bytes) {
  SLIP_ASSIGN_OR_RETURN(const IndexHeader header, DecodeHeader(bytes));
  LoadedIndex loaded{.bytes = std::move(bytes)};
  Index& index = loaded.index;
  index.node_id = header.node_id;
  index.actor = header.actor;
  index.last_hlc = header.last_hlc;
  index.last_tx_id = header.last_tx_id;
  index.next_run_number = header.next_run_number;
  index.durable_lsn = header.durable_lsn;
  base::ByteReader reader(absl::string_view(loaded.bytes).substr(sizeof(header)));
  for (IndexShard& shard : index.shards) shard = reader.ReadLittle<IndexShard>();
  for (uint32_t i = 0; i < header.run_count; ++i) {
    index.run_numbers.push_back(reader.ReadLittle<uint64_t>());
  }
  for (uint32_t i = 0; i < header.segment_count && reader.ok(); ++i) {
    index.segments.push_back(reader.ReadLittle<IndexSegment>());
  }
  for (absl::string_view& derived : loaded.derived) {
    derived = reader.ReadBytes(reader.ReadLittle<uint32_t>());
  }
  if (!reader.ok() || reader.remaining() != 0) {
    return Damaged(absl::StrFormat("the counts %d and %d do not fit %d bytes", header.run_count,
                                   header.segment_count, header.file_bytes));
  }
  return loaded;
}

}  // namespace slipstream::storage
