// SnapshotFile: what a snapshot says of itself, in its file `snapshot`: of which node and moment it
// is, its root, and which files belong to it. Layout: docs/storage_format.md, "Snapshot".
#ifndef SLIPSTREAM_STORAGE_SNAPSHOT_FILE_H_
#define SLIPSTREAM_STORAGE_SNAPSHOT_FILE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/digest.h"
#include "storage/entry.h"
#include "storage/file_system.h"

namespace slipstream::storage {

inline constexpr absl::string_view kSnapshotFileName = "snapshot";

inline constexpr uint64_t kSnapshotMagic = 0x50414e53'50494c53;  // "SLIPSNAP"
inline constexpr uint32_t kSnapshotFormatVersion = 1;
inline constexpr size_t kSnapshotNodeNameBytesMax = 255;
// Bounds the file.
inline constexpr uint32_t kSnapshotFilesMax = 1 << 20;
inline constexpr size_t kSnapshotMemberBytes = 32;

// The first bytes of the file; the node's name and the files follow.
struct SnapshotHeader {
  uint64_t magic = kSnapshotMagic;
  uint32_t crc32c = 0;  // Of all that follows, to the end of the file.
  uint32_t format_version = kSnapshotFormatVersion;
  base::Digest root;
  uint64_t node_id = 0;
  uint64_t actor = 0;  // That wrote when the snapshot was made.
  uint64_t key_count = 0;
  uint64_t tombstone_count = 0;
  uint64_t last_hlc = 0;
  Lsn last_lsn = 0;
  uint64_t created_at_ms = 0;  // Unix milliseconds.
  // What is missing from the log since before the snapshot: damaged ranges, and the records that
  // they cost.
  uint64_t damaged_count = 0;
  uint64_t lost_record_count = 0;
  uint32_t node_name_bytes = 0;
  uint32_t file_count = 0;
};
inline constexpr size_t kSnapshotHeaderBytes = 128;

static_assert(sizeof(SnapshotHeader) == kSnapshotHeaderBytes);
static_assert(std::has_unique_object_representations_v<SnapshotHeader>, "no padding on disk");
static_assert(std::is_trivially_copyable_v<SnapshotHeader>);
static_assert(offsetof(SnapshotHeader, crc32c) == 8);
static_assert(offsetof(SnapshotHeader, format_version) == 12);
static_assert(offsetof(SnapshotHeader, root) == 16);
static_assert(offsetof(SnapshotHeader, node_id) == 48);
static_assert(offsetof(SnapshotHeader, actor) == 56);
static_assert(offsetof(SnapshotHeader, key_count) == 64);
static_assert(offsetof(SnapshotHeader, tombstone_count) == 72);
static_assert(offsetof(SnapshotHeader, last_hlc) == 80);
static_assert(offsetof(SnapshotHeader, last_lsn) == 88);
static_assert(offsetof(SnapshotHeader, created_at_ms) == 96);
static_assert(offsetof(SnapshotHeader, damaged_count) == 104);
static_assert(offsetof(SnapshotHeader, lost_record_count) == 112);
static_assert(offsetof(SnapshotHeader, node_name_bytes) == 120);
static_assert(offsetof(SnapshotHeader, file_count) == 124);

// One for each file but this one, as it stands on disk.
struct SnapshotMember {
  uint64_t bytes = 0;
  std::array<char, 24> name = {};  // Zeros at the end.

  absl::string_view name_view() const;
  friend bool operator==(const SnapshotMember&, const SnapshotMember&) = default;
};
static_assert(sizeof(SnapshotMember) == kSnapshotMemberBytes);
static_assert(std::has_unique_object_representations_v<SnapshotMember>, "no padding on disk");
static_assert(offsetof(SnapshotMember, name) == 8);

inline constexpr size_t kSnapshotFileBytesMax =
    kSnapshotHeaderBytes + kSnapshotNodeNameBytesMax + kSnapshotFilesMax * kSnapshotMemberBytes;

// Returns the member of that name, which must be shorter than the field.
SnapshotMember MakeSnapshotMember(absl::string_view name, uint64_t bytes);

struct SnapshotFile {
  SnapshotHeader header;
  std::string node_name;
  std::vector<SnapshotMember> members;  // By name, ascending.
};

// Ends the name of a snapshot's directory until it is finished.
inline constexpr absl::string_view kSnapshotPartialSuffix = ".partial";

// Returns the name of a finished snapshot's directory, "slip-" and the first 16 hexadecimal digits
// of its root.
std::string SnapshotDirectoryName(const base::Digest& root);

// Returns the file's bytes, with counts and checksum. A longer node name is cut.
std::string EncodeSnapshotFile(const SnapshotFile& file);

// Decodes the file's bytes. FAILED_PRECONDITION (DIRECTORY_FOREIGN) for another magic or a newer
// version; DATA_LOSS (SNAPSHOT_DAMAGED) if it fails its checks.
absl::StatusOr<SnapshotFile> DecodeSnapshotFile(absl::string_view bytes);

// Reads the file of the snapshot in `directory`. NOT_FOUND if it has none; others as
// DecodeSnapshotFile.
absl::StatusOr<SnapshotFile> ReadSnapshotFile(FileSystem* fs, absl::string_view directory);

// Writes it, which must not be there, and syncs it; its name is durable after SyncDirectory.
absl::Status WriteSnapshotFile(FileSystem* fs, absl::string_view directory,
                               const SnapshotFile& file);

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_SNAPSHOT_FILE_H_
