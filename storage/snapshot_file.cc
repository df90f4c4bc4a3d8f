#include "storage/snapshot_file.h"

#include <algorithm>
#include <cstring>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/error_reason.h"
#include "base/status_macros.h"

namespace slipstream::storage {
namespace {

constexpr size_t kCrcedFrom = offsetof(SnapshotHeader, format_version);
constexpr size_t kRootDigitsInName = 16;

absl::Status Damaged(absl::string_view what) {
  return base::WithReason(absl::DataLossError(what), base::kReasonSnapshotDamaged);
}

absl::Status Foreign(absl::string_view what) {
  return base::WithReason(absl::FailedPreconditionError(what), base::kReasonDirectoryForeign);
}

absl::Status CheckMembers(const std::vector<SnapshotMember>& members) {
  for (const SnapshotMember& member : members) {
    const absl::string_view name = member.name_view();
    // It becomes part of a path.
    if (name.empty() || name.size() == member.name.size() ||
        name.find('/') != absl::string_view::npos) {
      return Damaged("snapshot file with a file name that no writer writes");
    }
  }
  const auto by_name = [](const SnapshotMember& a, const SnapshotMember& b) {
    return a.name_view() >= b.name_view();
  };
  if (std::adjacent_find(members.begin(), members.end(), by_name) == members.end()) {
    return absl::OkStatus();
  }
  return Damaged("snapshot file whose file names do not ascend");
}

}  // namespace

absl::string_view SnapshotMember::name_view() const {
  const auto end = std::find(name.begin(), name.end(), '\0');
  return {name.data(), static_cast<size_t>(end - name.begin())};
}

SnapshotMember MakeSnapshotMember(absl::string_view name, uint64_t bytes) {
  SnapshotMember member{.bytes = bytes};
  SLIP_CHECK(name.size() < member.name.size());
  std::copy(name.begin(), name.end(), member.name.begin());
  return member;
}

std::string SnapshotDirectoryName(const base::Digest& root) {
  return absl::StrCat("slip-", base::ToHex(root).substr(0, kRootDigitsInName));
}

std::string EncodeSnapshotFile(const SnapshotFile& file) {
  const absl::string_view name =
      absl::string_view(file.node_name).substr(0, kSnapshotNodeNameBytesMax);
  SnapshotHeader header = file.header;
  header.node_name_bytes = static_cast<uint32_t>(name.size());
  header.file_count = static_cast<uint32_t>(file.members.size());
  std::string bytes(sizeof(header), '\0');
  absl::StrAppend(&bytes, name);
  for (const SnapshotMember& member : file.members) {
    bytes.append(reinterpret_cast<const char*>(&member), sizeof(member));
  }
  std::memcpy(bytes.data(), &header, sizeof(header));
  header.crc32c = base::Crc32c(absl::string_view(bytes).substr(kCrcedFrom));
  std::memcpy(bytes.data(), &header, sizeof(header));
  return bytes;
}

absl::StatusOr<SnapshotFile> DecodeSnapshotFile(absl::string_view bytes) {
  SnapshotFile file;
  SnapshotHeader& header = file.header;
  bytes.copy(reinterpret_cast<char*>(&header), sizeof(header));
  if (bytes.size() >= sizeof(header.magic) && header.magic != kSnapshotMagic) {
    return Foreign(absl::StrFormat("snapshot magic 0x%016x != 0x%016x: not a slipstream snapshot",
                                   header.magic, kSnapshotMagic));
  }
  if (bytes.size() < sizeof(header)) {
    return Damaged(
        absl::StrFormat("snapshot file of %d bytes, less than %d", bytes.size(), sizeof(header)));
  }
  if (const uint32_t crc = base::Crc32c(bytes.substr(kCrcedFrom)); crc != header.crc32c) {
    return Damaged(absl::StrFormat("snapshot file crc 0x%08x != 0x%08x", crc, header.crc32c));
  }
  if (header.format_version > kSnapshotFormatVersion) {
    return Foreign(
        absl::StrFormat("snapshot of format version %d; this program reads versions up to %d",
                        header.format_version, kSnapshotFormatVersion));
  }
  if (header.node_name_bytes > kSnapshotNodeNameBytesMax || header.file_count > kSnapshotFilesMax ||
      bytes.size() != sizeof(header) + header.node_name_bytes +
                          size_t{header.file_count} * sizeof(SnapshotMember)) {
    return Damaged(absl::StrFormat("snapshot file of %d files and a name of %d bytes in %d bytes",
                                   header.file_count, header.node_name_bytes, bytes.size()));
  }
  file.node_name = std::string(bytes.substr(sizeof(header), header.node_name_bytes));
  file.members.resize(header.file_count);
  if (header.file_count != 0) {
    std::memcpy(file.members.data(), bytes.data() + sizeof(header) + header.node_name_bytes,
                header.file_count * sizeof(SnapshotMember));
  }
  SLIP_RETURN_IF_ERROR(CheckMembers(file.members));
  return file;
}

absl::StatusOr<SnapshotFile> ReadSnapshotFile(FileSystem* fs, absl::string_view directory) {
  const std::string path = JoinPath(directory, kSnapshotFileName);
  SLIP_ASSIGN_OR_RETURN(const std::unique_ptr<File> file, fs->Open(path, OpenMode::kRead));
  SLIP_ASSIGN_OR_RETURN(const uint64_t size, file->Size());
  // One byte more than there may be is enough to see that it is not ours.
  std::string bytes(std::min<uint64_t>(size, kSnapshotFileBytesMax + 1), '\0');
  SLIP_RETURN_IF_ERROR(file->Read(0, bytes.size(), bytes.data()));
  absl::StatusOr<SnapshotFile> snapshot = DecodeSnapshotFile(bytes);
  if (snapshot.ok()) return snapshot;
  return base::WithReason(
      absl::Status(snapshot.status().code(), absl::StrCat(path, ": ", snapshot.status().message())),
      base::ReasonOf(snapshot.status()));
}

absl::Status WriteSnapshotFile(FileSystem* fs, absl::string_view directory,
                               const SnapshotFile& file) {
  SLIP_ASSIGN_OR_RETURN(const std::unique_ptr<File> target,
                        fs->Open(JoinPath(directory, kSnapshotFileName), OpenMode::kCreate));
  SLIP_RETURN_IF_ERROR(target->Write(0, EncodeSnapshotFile(file)));
  return target->SyncData();
}

}  // namespace slipstream::storage
