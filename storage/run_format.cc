#include "storage/run_format.h"

#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "base/check.h"
#include "base/coding.h"
#include "base/crc32c.h"
#include "base/error_reason.h"
#include "base/status_macros.h"
#include "storage/run_filter.h"

namespace slipstream::storage {
namespace {

constexpr size_t kHeaderCrcedFrom = offsetof(RunHeader, format_version);
constexpr size_t kPageCrcedFrom = offsetof(RunPageHeader, entry_count);
constexpr absl::string_view kRunSuffix = ".run";
constexpr size_t kNumberDigits = 16;

uint64_t WholePages(uint64_t bytes) { return (bytes + kPageBytes - 1) / kPageBytes * kPageBytes; }

const char* EntryAt(const char* page, size_t index) {
  return page + kRunPageHeaderBytes + index * kRunEntryBytes;
}

// Both are the first bytes of packed entries.
int CompareKeyIds(const char* a, const char* b) { return std::memcmp(a, b, base::kKeyIdBytes); }

absl::Status CheckPlaces(const RunHeader& header) {
  if (header.entry_count > kRunEntriesMax) {
    return absl::DataLossError(absl::StrFormat("run header with %d entries, more than %d",
                                               header.entry_count, kRunEntriesMax));
  }
  const RunLayout layout = RunLayoutOf(header.entry_count);
  if (header.page_count != layout.page_count || header.fences_offset != layout.fences_offset ||
      header.filter_offset != layout.filter_offset || header.file_bytes != layout.file_bytes) {
    return absl::DataLossError(
        absl::StrFormat("run header with %d entries in %d pages, fences at %d, filter at %d, "
                        "%d bytes: not one layout",
                        header.entry_count, header.page_count, header.fences_offset,
                        header.filter_offset, header.file_bytes));
  }
  return absl::OkStatus();
}

}  // namespace

RunFence RunFenceOf(const base::KeyId& key_id) { return base::LoadBig64(key_id.bytes.data()); }

RunLayout RunLayoutOf(uint64_t entry_count) {
  SLIP_CHECK(entry_count <= kRunEntriesMax);
  RunLayout layout;
  layout.page_count = (entry_count + kRunEntriesPerPage - 1) / kRunEntriesPerPage;
  layout.fences_offset = (1 + layout.page_count) * kPageBytes;
  layout.fences_bytes = WholePages(layout.page_count * kRunFenceBytes);
  layout.filter_offset = layout.fences_offset + layout.fences_bytes;
  layout.filter_bytes = WholePages(layout.page_count * kFilterBlockBytes);
  layout.file_bytes = layout.filter_offset + layout.filter_bytes;
  return layout;
}

std::string EncodeRunHeader(RunHeader header) {
  std::string page(kPageBytes, '\0');
  std::memcpy(page.data(), &header, sizeof(header));
  header.crc32c = base::Crc32c(absl::string_view(page).substr(kHeaderCrcedFrom));
  std::memcpy(page.data(), &header, sizeof(header));
  return page;
}

absl::StatusOr<RunHeader> DecodeRunHeader(absl::string_view page) {
  SLIP_CHECK(page.size() == kPageBytes);
  RunHeader header;
  std::memcpy(&header, page.data(), sizeof(header));
  if (header.magic != kRunMagic) {
    return absl::DataLossError(
        absl::StrFormat("run magic 0x%016x != 0x%016x", header.magic, kRunMagic));
  }
  if (const uint32_t crc = base::Crc32c(page.substr(kHeaderCrcedFrom)); crc != header.crc32c) {
    return absl::DataLossError(
        absl::StrFormat("run header crc 0x%08x != 0x%08x", crc, header.crc32c));
  }
  if (header.format_version > kRunFormatVersion) {
    return base::WithReason(absl::FailedPreconditionError(absl::StrFormat(
                                "run of format version %d; this program reads versions up to %d",
                                header.format_version, kRunFormatVersion)),
                            base::kReasonDirectoryForeign);
  }
  if (header.page_bytes != kPageBytes || header.entry_bytes != kRunEntryBytes) {
    return absl::DataLossError(absl::StrFormat("run header with page_bytes %d, entry_bytes %d",
                                               header.page_bytes, header.entry_bytes));
  }
  SLIP_RETURN_IF_ERROR(CheckPlaces(header));
  return header;
}

void PackRunEntry(const RunEntry& entry, size_t index, char* page) {
  SLIP_CHECK(index < kRunEntriesPerPage);
  const Entry& known = entry.located.entry;
  const PackedRunEntry packed{
      .key_id = known.key_id,
      .value_digest = known.value_digest,
      .hlc = known.version.hlc,
      .actor = static_cast<uint64_t>(known.version.actor),
      .sequence = known.sequence,
      .expires_at_ms = known.expires_at_ms,
      .segment_number = entry.located.location.segment_number,
      .offset = entry.located.location.offset,
      .record_bytes = known.record_bytes,
      .flags = (known.tombstone ? kRunFlagTombstone : 0) |
               (entry.located.damaged ? kRunFlagDamaged : 0) |
               (entry.shadow_counted ? kRunFlagShadowCounted : 0),
  };
  std::memcpy(page + kRunPageHeaderBytes + index * kRunEntryBytes, &packed, sizeof(packed));
}

void SealRunPage(RunPageHeader header, char* page) {
  std::memcpy(page, &header, sizeof(header));
  header.crc32c = base::Crc32c(absl::string_view(page, kPageBytes).substr(kPageCrcedFrom));
  std::memcpy(page, &header, sizeof(header));
}

base::KeyId RunPageView::key_id(size_t index) const {
  SLIP_CHECK(index < entry_count_);
  base::KeyId key_id;
  std::memcpy(key_id.bytes.data(), EntryAt(page_, index), base::kKeyIdBytes);
  return key_id;
}

RunEntry RunPageView::entry(size_t index) const {
  SLIP_CHECK(index < entry_count_);
  PackedRunEntry packed;
  std::memcpy(&packed, EntryAt(page_, index), sizeof(packed));
  return {
      .located =
          {
              .entry =
                  {
                      .key_id = packed.key_id,
                      .version = {.hlc = packed.hlc, .actor = base::ActorId{packed.actor}},
                      .sequence = packed.sequence,
                      .expires_at_ms = packed.expires_at_ms,
                      .value_digest = packed.value_digest,
                      .record_bytes = packed.record_bytes,
                      .tombstone = (packed.flags & kRunFlagTombstone) != 0,
                  },
              .location = {.segment_number = packed.segment_number, .offset = packed.offset},
              .damaged = (packed.flags & kRunFlagDamaged) != 0,
          },
      .shadow_counted = (packed.flags & kRunFlagShadowCounted) != 0,
  };
}

size_t RunPageView::LowerBound(const base::KeyId& key_id) const {
  const char* const wanted = key_id.view().data();
  size_t first = 0;
  size_t count = entry_count_;
  while (count > 0) {
    const size_t half = count / 2;
    if (CompareKeyIds(EntryAt(page_, first + half), wanted) < 0) {
      first += half + 1;
      count -= half + 1;
    } else {
      count = half;
    }
  }
  return first;
}

absl::StatusOr<RunPageView> DecodeRunPage(absl::string_view page, const RunPageHeader& expected) {
  SLIP_CHECK(page.size() == kPageBytes);
  RunPageHeader header;
  std::memcpy(&header, page.data(), sizeof(header));
  if (const uint32_t crc = base::Crc32c(page.substr(kPageCrcedFrom)); crc != header.crc32c) {
    return absl::DataLossError(
        absl::StrFormat("run page crc 0x%08x != 0x%08x", crc, header.crc32c));
  }
  if (header.page_number != expected.page_number ||
      header.run_number_low != expected.run_number_low ||
      header.entry_count != expected.entry_count || header.entry_count > kRunEntriesPerPage) {
    return absl::DataLossError(absl::StrFormat(
        "page %d of run ..%08x with %d entries where page %d of run ..%08x with %d must be",
        header.page_number, header.run_number_low, header.entry_count, expected.page_number,
        expected.run_number_low, expected.entry_count));
  }
  for (size_t i = 0; i < header.entry_count; ++i) {
    const char* const entry = EntryAt(page.data(), i);
    const uint32_t flags = base::LoadLittle<uint32_t>(entry + offsetof(PackedRunEntry, flags));
    if ((flags & ~kRunFlags) != 0) {
      return absl::DataLossError(absl::StrFormat("run entry %d with flags 0x%08x", i, flags));
    }
    if (i > 0 && CompareKeyIds(EntryAt(page.data(), i - 1), entry) >= 0) {
      return absl::DataLossError(absl::StrFormat("run entry %d is not after the one before it", i));
    }
  }
  return RunPageView(page.data(), header.entry_count);
}

std::string RunFileName(uint64_t number) { return absl::StrFormat("%016x%s", number, kRunSuffix); }

absl::optional<uint64_t> ParseRunFileName(absl::string_view name) {
  if (name.size() != kNumberDigits + kRunSuffix.size()) return absl::nullopt;
  uint64_t number = 0;
  if (!absl::SimpleHexAtoi(name.substr(0, kNumberDigits), &number)) return absl::nullopt;
  // The number's own spelling is the only one: no capitals, no sign, no prefix.
  if (number == 0 || name != RunFileName(number)) return absl::nullopt;
  return number;
}

}  // namespace slipstream::storage
