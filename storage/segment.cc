#include "storage/segment.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/error_reason.h"
#include "base/status_macros.h"
#include "storage/aligned_buffer.h"

namespace slipstream::storage {
namespace {

constexpr size_t kCrcedFrom = offsetof(SegmentHeader, format_version);
constexpr absl::string_view kSegmentSuffix = ".log";
constexpr size_t kNumberDigits = 16;
constexpr size_t kZeroBytesPerWrite = 1 << 20;

absl::Status WriteZeros(File* file, uint64_t segment_bytes) {
  AlignedBuffer zeros(std::min<uint64_t>(kZeroBytesPerWrite, segment_bytes));
  std::memset(zeros.data(), 0, zeros.capacity());
  for (uint64_t offset = 0; offset < segment_bytes; offset += zeros.capacity()) {
    const size_t count = std::min<uint64_t>(zeros.capacity(), segment_bytes - offset);
    SLIP_RETURN_IF_ERROR(file->Write(offset, zeros.view().substr(0, count)));
  }
  return file->SyncData();
}

uint32_t RecycledMarkCrc(const RecycledMark& mark) {
  constexpr size_t kFrom = offsetof(RecycledMark, reserved);
  return base::Crc32c(
      absl::string_view(reinterpret_cast<const char*>(&mark) + kFrom, sizeof(mark) - kFrom));
}

}  // namespace

std::string EncodeSegmentHeader(SegmentHeader header, bool is_recycled) {
  std::string page = is_recycled ? EncodeRecycledPage(header.segment_number, header.incarnation)
                                 : std::string(kPageBytes, '\0');
  std::memcpy(page.data(), &header, sizeof(header));
  header.crc32c = base::Crc32c(absl::string_view(page).substr(kCrcedFrom));
  std::memcpy(page.data(), &header, sizeof(header));
  return page;
}

std::string EncodeRecycledPage(uint64_t segment_number, uint64_t incarnation) {
  RecycledMark mark{.segment_number = segment_number, .incarnation = incarnation};
  mark.crc32c = RecycledMarkCrc(mark);
  std::string page(kPageBytes, '\0');
  std::memcpy(page.data() + kRecycledMarkOffset, &mark, sizeof(mark));
  return page;
}

absl::optional<RecycledMark> ReadRecycledMark(absl::string_view page) {
  SLIP_CHECK(page.size() >= kPageBytes);
  RecycledMark mark;
  std::memcpy(&mark, page.data() + kRecycledMarkOffset, sizeof(mark));
  const bool is_good =
      mark.magic == kRecycledMagic && mark.crc32c == RecycledMarkCrc(mark) && mark.incarnation != 0;
  return is_good ? absl::make_optional(mark) : absl::nullopt;
}

absl::StatusOr<SegmentHeader> DecodeSegmentHeader(absl::string_view page) {
  SLIP_CHECK(page.size() == kPageBytes);
  SegmentHeader header;
  std::memcpy(&header, page.data(), sizeof(header));
  if (header.magic != kSegmentMagic) {
    return absl::DataLossError(
        absl::StrFormat("segment magic 0x%016x != 0x%016x", header.magic, kSegmentMagic));
  }
  if (const uint32_t crc = base::Crc32c(page.substr(kCrcedFrom)); crc != header.crc32c) {
    return absl::DataLossError(
        absl::StrFormat("segment header crc 0x%08x != 0x%08x", crc, header.crc32c));
  }
  if (header.format_version > kFormatVersion) {
    return base::WithReason(
        absl::FailedPreconditionError(
            absl::StrFormat("segment of format version %d; this program reads versions up to %d",
                            header.format_version, kFormatVersion)),
        base::kReasonDirectoryForeign);
  }
  if (header.page_bytes != kPageBytes || header.incarnation == 0) {
    return absl::DataLossError(absl::StrFormat("segment header with page_bytes %d, incarnation %d",
                                               header.page_bytes, header.incarnation));
  }
  return header;
}

std::string SegmentFileName(uint64_t number) {
  return absl::StrFormat("%016x%s", number, kSegmentSuffix);
}

absl::optional<uint64_t> ParseSegmentFileName(absl::string_view name) {
  if (name.size() != kNumberDigits + kSegmentSuffix.size()) return absl::nullopt;
  uint64_t number = 0;
  if (!absl::SimpleHexAtoi(name.substr(0, kNumberDigits), &number)) return absl::nullopt;
  // The number's own spelling is the only one: no capitals, no sign, no prefix.
  if (number == 0 || name != SegmentFileName(number)) return absl::nullopt;
  return number;
}

std::string TemporaryName(absl::string_view name) { return absl::StrCat(name, ".tmp"); }

absl::StatusOr<std::unique_ptr<File>> CreateSegment(FileSystem* fs, absl::string_view directory,
                                                    uint64_t number, uint64_t segment_bytes) {
  const std::string path = JoinPath(directory, SegmentFileName(number));
  const std::string temporary_path = TemporaryName(path);
  SLIP_ASSIGN_OR_RETURN(std::unique_ptr<File> file,
                        fs->OpenDirect(temporary_path, OpenMode::kCreate));
  absl::Status status = WriteZeros(file.get(), segment_bytes);
  if (status.ok()) status = fs->Rename(temporary_path, path);
  if (!status.ok()) {
    // The first error is the one to report; Open removes what is left here.
    file.reset();
    fs->Remove(temporary_path).IgnoreError();
    return status;
  }
  SLIP_RETURN_IF_ERROR(fs->SyncDirectory(directory));
  return file;
}

absl::StatusOr<std::unique_ptr<File>> RecycleSegment(FileSystem* fs, absl::string_view directory,
                                                     File* file, uint64_t from, uint64_t to,
                                                     uint64_t incarnation) {
  const std::string path = JoinPath(directory, SegmentFileName(to));
  AlignedBuffer page(kPageBytes);
  const std::string encoded = EncodeRecycledPage(to, incarnation);
  std::memcpy(page.data(), encoded.data(), kPageBytes);
  // Before the new name: under that, the old header would be taken for damage.
  SLIP_RETURN_IF_ERROR(file->WriteDurably(0, page.view()));
  SLIP_RETURN_IF_ERROR(fs->Rename(JoinPath(directory, SegmentFileName(from)), path));
  SLIP_RETURN_IF_ERROR(fs->SyncDirectory(directory));
  // Anew, as errors name the file.
  return fs->OpenDirect(path, OpenMode::kReadWrite);
}

}  // namespace slipstream::storage
