// Manifest: which segments compaction has dropped, and what no later life may give again.
//
// The records of a dropped segment are gone, and with them what recovery would have learnt from
// them: where the segment before ends, the greatest HLC, tx_id and dots. The file says so instead.
// Without a file nothing was dropped. Layout, and when it is written: docs/storage_format.md.
#ifndef SLIPSTREAM_STORAGE_MANIFEST_H_
#define SLIPSTREAM_STORAGE_MANIFEST_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/key_id.h"
#include "base/version.h"
#include "storage/entry.h"
#include "storage/file_system.h"
#include "storage/log_segment.h"

namespace slipstream::storage {

inline constexpr absl::string_view kManifestFileName = "manifest";
// Zeros, to be given up when the disk is too full for a new manifest.
inline constexpr absl::string_view kManifestSpareFileName = "manifest.spare";

inline constexpr uint64_t kManifestMagic = 0x494e414d'50494c53;  // "SLIPMANI"
inline constexpr uint32_t kManifestFormatVersion = 1;
// Bounds the file. Each gap has a segment beside it that was kept.
inline constexpr uint32_t kManifestGapsMax = 1 << 20;

// A run of segments that were in use next to each other and are dropped, as it stands on disk.
struct SegmentGap {
  uint64_t first_number = 0;
  uint64_t last_number = 0;
  Lsn last_lsn = 0;      // Of the last segment's last record.
  SegmentLink previous;  // The segment before the first one; kept, or lost.

  bool Holds(uint64_t number) const { return first_number <= number && number <= last_number; }
  friend bool operator==(const SegmentGap&, const SegmentGap&) = default;
};
inline constexpr size_t kSegmentGapBytes = 56;

static_assert(sizeof(SegmentLink) == 32);
static_assert(offsetof(SegmentLink, number) == 0);
static_assert(offsetof(SegmentLink, incarnation) == 8);
static_assert(offsetof(SegmentLink, end_offset) == 16);
static_assert(offsetof(SegmentLink, last_lsn) == 24);
static_assert(sizeof(SegmentGap) == kSegmentGapBytes);
static_assert(std::has_unique_object_representations_v<SegmentGap>, "no padding on disk");
static_assert(std::is_trivially_copyable_v<SegmentGap>);
static_assert(offsetof(SegmentGap, last_number) == 8);
static_assert(offsetof(SegmentGap, last_lsn) == 16);
static_assert(offsetof(SegmentGap, previous) == 24);

// The first bytes of the file as they stand on disk; the gaps follow.
struct ManifestHeader {
  uint64_t magic = kManifestMagic;
  uint32_t crc32c = 0;  // Of all that follows, to the end of the file.
  uint32_t format_version = kManifestFormatVersion;
  uint64_t node_id = 0;
  uint64_t actor = 0;  // Whose sequences these are.
  base::Hlc last_hlc = 0;
  uint64_t last_tx_id = 0;
  uint32_t gap_count = 0;
  std::array<uint8_t, 12> reserved = {};
  std::array<uint64_t, base::kShardCount> last_sequences = {};  // Of the actor's dots, by shard.
};
inline constexpr size_t kManifestHeaderBytes = 2112;

static_assert(sizeof(ManifestHeader) == kManifestHeaderBytes);
static_assert(std::has_unique_object_representations_v<ManifestHeader>, "no padding on disk");
static_assert(std::is_trivially_copyable_v<ManifestHeader>);
static_assert(offsetof(ManifestHeader, crc32c) == 8);
static_assert(offsetof(ManifestHeader, format_version) == 12);
static_assert(offsetof(ManifestHeader, node_id) == 16);
static_assert(offsetof(ManifestHeader, actor) == 24);
static_assert(offsetof(ManifestHeader, last_hlc) == 32);
static_assert(offsetof(ManifestHeader, last_tx_id) == 40);
static_assert(offsetof(ManifestHeader, gap_count) == 48);
static_assert(offsetof(ManifestHeader, reserved) == 52);
static_assert(offsetof(ManifestHeader, last_sequences) == 64);

// Copyable.
struct Manifest {
  ManifestHeader header;
  std::vector<SegmentGap> gaps;  // Ascending, apart.

  // Notes that the segment that `link` names, whose predecessor is `previous`, is dropped. It must
  // not lie in a gap. RESOURCE_EXHAUSTED beyond kManifestGapsMax; then nothing was noted.
  absl::Status Drop(const SegmentLink& link, const SegmentLink& previous);
};

// Returns the file's bytes, with the count of the gaps and the checksum.
std::string EncodeManifest(const Manifest& manifest);

// Decodes the file's bytes. FAILED_PRECONDITION (DIRECTORY_FOREIGN) for a newer version; DATA_LOSS
// (LOG_DAMAGED) if it fails its checks.
absl::StatusOr<Manifest> DecodeManifest(absl::string_view bytes);

// Reads the manifest of `directory`. NOT_FOUND if it has none; others as DecodeManifest.
absl::StatusOr<Manifest> ReadManifest(FileSystem* fs, absl::string_view directory);

// Replaces the manifest of `directory` in one atomic, durable step: after an error or a crash the
// old or the new one is there.
absl::Status WriteManifest(FileSystem* fs, absl::string_view directory, const Manifest& manifest);

// Makes the spare of `directory`, large enough for a successor of `manifest`; there must be none.
absl::Status CreateManifestSpare(FileSystem* fs, absl::string_view directory,
                                 const Manifest& manifest);

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_MANIFEST_H_
