#include "storage/manifest.h"

#include <algorithm>
#include <cstring>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/error_reason.h"
#include "base/status_macros.h"
#include "storage/ceilings.h"
#include "storage/frame.h"
#include "storage/segment.h"

namespace slipstream::storage {
namespace {

constexpr size_t kCrcedFrom = offsetof(ManifestHeader, format_version);
constexpr uint64_t kSpareBytesMin = 64 << 10;

uint64_t ManifestBytes(uint64_t gap_count) {
  return kManifestHeaderBytes + gap_count * kSegmentGapBytes;
}

absl::Status Damaged(absl::string_view what) {
  return base::WithReason(absl::DataLossError(what), base::kReasonLogDamaged);
}

// Checks what every writer holds to; `floor` is the last number of the gap before.
absl::Status CheckGap(const SegmentGap& gap, uint64_t floor) {
  const SegmentLink& previous = gap.previous;
  const bool numbers = gap.first_number > floor && gap.first_number <= gap.last_number &&
                       gap.last_number <= kSegmentNumberMax && previous.number < gap.first_number;
  const bool ends = previous.end_offset % kPageBytes == 0 &&
                    previous.end_offset <= kSegmentBytesMax && previous.last_lsn <= gap.last_lsn;
  if (numbers && ends) return absl::OkStatus();
  return Damaged(absl::StrFormat(
      "manifest with a gap from segment %d to %d, LSN %d, after segment %d offset %d, LSN %d",
      gap.first_number, gap.last_number, gap.last_lsn, previous.number, previous.end_offset,
      previous.last_lsn));
}

absl::Status CheckManifest(const Manifest& manifest) {
  uint64_t floor = 0;
  for (const SegmentGap& gap : manifest.gaps) {
    SLIP_RETURN_IF_ERROR(CheckGap(gap, floor));
    floor = gap.last_number;
  }
  for (const uint64_t sequence : manifest.header.last_sequences) {
    if (sequence > kSequenceCeiling) {
      return Damaged(absl::StrFormat("manifest with a sequence of %d", sequence));
    }
  }
  return absl::OkStatus();
}

absl::Status WriteWhole(FileSystem* fs, const std::string& path, absl::string_view bytes) {
  if (absl::Status status = fs->Remove(path); !status.ok() && !absl::IsNotFound(status)) {
    return status;
  }
  SLIP_ASSIGN_OR_RETURN(const std::unique_ptr<File> file, fs->Open(path, OpenMode::kCreate));
  SLIP_RETURN_IF_ERROR(file->Write(0, bytes));
  return file->SyncData();
}

}  // namespace

absl::Status Manifest::Drop(const SegmentLink& link, const SegmentLink& previous) {
  auto next = std::find_if(gaps.begin(), gaps.end(), [&link](const SegmentGap& gap) {
    return gap.last_number >= link.number;
  });
  SLIP_CHECK(next == gaps.end() || next->first_number > link.number);
  const bool goes_on = next != gaps.begin() && std::prev(next)->last_number == previous.number;
  if (!goes_on && gaps.size() >= kManifestGapsMax) {
    return absl::ResourceExhaustedError(
        absl::StrFormat("a manifest of %d gaps takes no more", gaps.size()));
  }
  if (goes_on) {
    next = std::prev(next);
    next->last_number = link.number;
    next->last_lsn = link.last_lsn;
  } else {
    next = gaps.insert(next, {.first_number = link.number,
                              .last_number = link.number,
                              .last_lsn = link.last_lsn,
                              .previous = previous});
  }
  // The gap behind may start where this one now ends.
  const auto behind = std::next(next);
  if (behind == gaps.end() || behind->previous.number != link.number) return absl::OkStatus();
  next->last_number = behind->last_number;
  next->last_lsn = behind->last_lsn;
  gaps.erase(behind);
  return absl::OkStatus();
}

std::string EncodeManifest(const Manifest& manifest) {
  ManifestHeader header = manifest.header;
  header.gap_count = static_cast<uint32_t>(manifest.gaps.size());
  std::string bytes(ManifestBytes(header.gap_count), '\0');
  std::memcpy(bytes.data(), &header, sizeof(header));
  if (!manifest.gaps.empty()) {
    std::memcpy(bytes.data() + kManifestHeaderBytes, manifest.gaps.data(),
                manifest.gaps.size() * kSegmentGapBytes);
  }
  header.crc32c = base::Crc32c(absl::string_view(bytes).substr(kCrcedFrom));
  std::memcpy(bytes.data(), &header, sizeof(header));
  return bytes;
}

absl::StatusOr<Manifest> DecodeManifest(absl::string_view bytes) {
  if (bytes.size() < kManifestHeaderBytes) {
    return Damaged(
        absl::StrFormat("manifest of %d bytes, less than %d", bytes.size(), kManifestHeaderBytes));
  }
  Manifest manifest;
  ManifestHeader& header = manifest.header;
  std::memcpy(&header, bytes.data(), sizeof(header));
  if (header.magic != kManifestMagic) {
    return Damaged(
        absl::StrFormat("manifest magic 0x%016x != 0x%016x", header.magic, kManifestMagic));
  }
  if (const uint32_t crc = base::Crc32c(bytes.substr(kCrcedFrom)); crc != header.crc32c) {
    return Damaged(absl::StrFormat("manifest crc 0x%08x != 0x%08x", crc, header.crc32c));
  }
  if (header.format_version > kManifestFormatVersion) {
    return base::WithReason(
        absl::FailedPreconditionError(
            absl::StrFormat("manifest of format version %d; this program reads versions up to %d",
                            header.format_version, kManifestFormatVersion)),
        base::kReasonDirectoryForeign);
  }
  if (header.gap_count > kManifestGapsMax || bytes.size() != ManifestBytes(header.gap_count)) {
    return Damaged(
        absl::StrFormat("manifest of %d gaps in %d bytes", header.gap_count, bytes.size()));
  }
  manifest.gaps.resize(header.gap_count);
  if (header.gap_count != 0) {
    std::memcpy(manifest.gaps.data(), bytes.data() + kManifestHeaderBytes,
                header.gap_count * kSegmentGapBytes);
  }
  SLIP_RETURN_IF_ERROR(CheckManifest(manifest));
  return manifest;
}

absl::StatusOr<Manifest> ReadManifest(FileSystem* fs, absl::string_view directory) {
  const std::string path = JoinPath(directory, kManifestFileName);
  SLIP_ASSIGN_OR_RETURN(const std::unique_ptr<File> file, fs->Open(path, OpenMode::kRead));
  SLIP_ASSIGN_OR_RETURN(const uint64_t size, file->Size());
  // One byte more than there may be is enough to see that it is not ours.
  std::string bytes(std::min<uint64_t>(size, ManifestBytes(kManifestGapsMax) + 1), '\0');
  SLIP_RETURN_IF_ERROR(file->Read(0, bytes.size(), bytes.data()));
  absl::StatusOr<Manifest> manifest = DecodeManifest(bytes);
  if (manifest.ok()) return manifest;
  return base::WithReason(
      absl::Status(manifest.status().code(), absl::StrCat(path, ": ", manifest.status().message())),
      base::ReasonOf(manifest.status()));
}

absl::Status WriteManifest(FileSystem* fs, absl::string_view directory, const Manifest& manifest) {
  const std::string path = JoinPath(directory, kManifestFileName);
  const std::string temporary_path = TemporaryName(path);
  absl::Status status = WriteWhole(fs, temporary_path, EncodeManifest(manifest));
  if (status.ok()) status = fs->Rename(temporary_path, path);
  if (status.ok()) return fs->SyncDirectory(directory);
  // The first error is the one to report; Open removes what is left here.
  fs->Remove(temporary_path).IgnoreError();
  return status;
}

absl::Status CreateManifestSpare(FileSystem* fs, absl::string_view directory,
                                 const Manifest& manifest) {
  const std::string zeros(std::max(kSpareBytesMin, 2 * ManifestBytes(manifest.gaps.size())), '\0');
  return WriteWhole(fs, JoinPath(directory, kManifestSpareFileName), zeros);
}

}  // namespace slipstream::storage
