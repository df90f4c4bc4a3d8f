#include "cli/inspect_run.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "base/coding.h"
#include "base/key_id.h"
#include "base/status_macros.h"
#include "base/version.h"
#include "cli/inspect_header.h"
#include "storage/frame.h"
#include "storage/run_filter.h"
#include "storage/run_format.h"

namespace slipstream::cli {
namespace {

using storage::kPageBytes;
using storage::RunEntry;
using storage::RunHeader;
using storage::RunLayout;
using storage::RunPageHeader;
using storage::RunPageView;

constexpr uint64_t kPagesPerRead = kInspectPieceBytes / kPageBytes;

// Returns the layout of the longest run that a file of `file_bytes`, at least a page, can hold.
RunLayout LayoutWithin(uint64_t file_bytes) {
  uint64_t low = 0;  // So many data pages fit.
  uint64_t high = std::min(storage::kRunPagesMax, file_bytes / kPageBytes);
  while (low < high) {
    const uint64_t middle = high - (high - low) / 2;
    const RunLayout layout = storage::RunLayoutOf(middle * storage::kRunEntriesPerPage);
    if (layout.file_bytes <= file_bytes) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return storage::RunLayoutOf(low * storage::kRunEntriesPerPage);
}

class RunInspector {
 public:
  RunInspector(const InspectSource& source, const InspectOptions& options)
      : source_(source), options_(options) {
    report_.kind = "run";
    report_.file_bytes = source.size();
    entries_.name = "records";
    entries_.columns = {"offset",       "key_id",         "version",        "sequence",
                        "value_digest", "segment_number", "segment_offset", "record_bytes",
                        "tombstone",    "damaged",        "shadow_counted", "expires_at_ms"};
  }

  absl::StatusOr<InspectReport> Run() && {
    SLIP_ASSIGN_OR_RETURN(const absl::optional<std::string> page, ReadHeaderPage(source_, report_));
    if (!page.has_value()) return std::move(report_);
    SLIP_RETURN_IF_ERROR(ReadHeader(*page));
    if (header_.has_value()) {
      SLIP_ASSIGN_OR_RETURN(fences_good_,
                            CheckSection("fences", layout_.fences_offset, layout_.fences_bytes,
                                         header_->fences_crc32c));
      SLIP_ASSIGN_OR_RETURN(filter_good_,
                            CheckSection("filter", layout_.filter_offset, layout_.filter_bytes,
                                         header_->filter_crc32c));
    }
    SLIP_RETURN_IF_ERROR(ReadPages());
    CheckCounts();
    report_.summary = {{"good_page_count", good_page_count_},
                       {"entry_count", entry_count_},
                       {"tombstone_count", tombstone_count_},
                       {"damaged_count", damaged_count_}};
    if (options_.records) report_.tables.push_back(std::move(entries_));
    return std::move(report_);
  }

 private:
  absl::Status ReadHeader(absl::string_view page) {
    const absl::StatusOr<RunHeader> header = storage::DecodeRunHeader(page);
    if (absl::IsFailedPrecondition(header.status())) return header.status();
    RunHeader raw;
    std::memcpy(&raw, page.data(), sizeof(raw));
    AddHeader(raw);
    if (!header.ok()) {
      report_.AddDamage(0, header.status().message());
      layout_ = LayoutWithin(source_.size());
      return absl::OkStatus();
    }
    header_ = *header;
    layout_ = storage::RunLayoutOf(header->entry_count);
    CheckLength(source_, header->file_bytes, report_);
    CheckNumber(header->run_number, storage::ParseRunFileName(options_.name), report_);
    return absl::OkStatus();
  }

  void AddHeader(const RunHeader& header) {
    report_.header = {
        {"format_version", uint64_t{header.format_version}},
        {"page_bytes", uint64_t{header.page_bytes}},
        {"entry_bytes", uint64_t{header.entry_bytes}},
        {"node_id", InspectId(header.node_id)},
        {"run_number", header.run_number},
        {"entry_count", header.entry_count},
        {"page_count", header.page_count},
        {"fences_offset", header.fences_offset},
        {"filter_offset", header.filter_offset},
        {"file_bytes", header.file_bytes},
        {"first_key_id", absl::BytesToHexString(header.first_key_id.view())},
        {"last_key_id", absl::BytesToHexString(header.last_key_id.view())},
        {"tombstone_count", header.tombstone_count},
        {"damaged_count", header.damaged_count},
    };
  }

  // Returns whether the fences or the filter pass their checksum.
  absl::StatusOr<bool> CheckSection(absl::string_view name, uint64_t offset, uint64_t bytes,
                                    uint32_t expected) {
    // Without pages there is neither, and no checksum is looked at.
    if (bytes == 0) return true;
    if (offset + bytes > source_.size()) {
      report_.AddDamage(std::min(offset, source_.size()), absl::StrFormat("%s cut short", name));
      return false;
    }
    SLIP_ASSIGN_OR_RETURN(const uint32_t crc, CrcOf(source_, offset, offset + bytes));
    if (crc == expected) return true;
    report_.AddDamage(offset, absl::StrFormat("%s crc 0x%08x != 0x%08x", name, crc, expected));
    return false;
  }

  absl::Status ReadPages() {
    // Whole ones that are there.
    const uint64_t page_count = std::min(layout_.page_count, source_.size() / kPageBytes - 1);
    for (uint64_t first = 0; first < page_count; first += kPagesPerRead) {
      const uint64_t count = std::min(kPagesPerRead, page_count - first);
      SLIP_ASSIGN_OR_RETURN(const std::string pages,
                            source_.Read((1 + first) * kPageBytes, count * kPageBytes));
      std::string fences;
      if (fences_good_) {
        SLIP_ASSIGN_OR_RETURN(fences,
                              source_.Read(layout_.fences_offset + first * storage::kRunFenceBytes,
                                           count * storage::kRunFenceBytes));
      }
      std::string filter;
      if (filter_good_) {
        SLIP_ASSIGN_OR_RETURN(
            filter, source_.Read(layout_.filter_offset + first * storage::kFilterBlockBytes,
                                 count * storage::kFilterBlockBytes));
      }
      for (uint64_t i = 0; i < count; ++i) {
        ReadPage(absl::string_view(pages).substr(i * kPageBytes, kPageBytes), first + i,
                 fences_good_ ? fences.data() + i * storage::kRunFenceBytes : nullptr,
                 filter_good_ ? filter.data() + i * storage::kFilterBlockBytes : nullptr);
      }
    }
    return absl::OkStatus();
  }

  // Reads page `index`; `fence` and `block` are its own, or null.
  void ReadPage(absl::string_view page, uint64_t index, const char* fence, const char* block) {
    const uint64_t offset = (1 + index) * kPageBytes;
    const absl::StatusOr<RunPageView> view = storage::DecodeRunPage(page, Expected(page, index));
    if (!view.ok()) {
      report_.AddDamage(offset, view.status().message());
      all_pages_good_ = false;
      return;
    }
    if (view->entry_count() == 0) {
      report_.AddDamage(offset, "page without entries");
      return;
    }
    const base::KeyId first = view->key_id(0);
    if (last_key_id_.has_value() && !(*last_key_id_ < first)) {
      report_.AddDamage(offset, "page does not start after the one before it");
    }
    if (fence != nullptr &&
        base::LoadLittle<storage::RunFence>(fence) != storage::RunFenceOf(first)) {
      report_.AddDamage(offset, "page does not start with its fence");
    }
    if (good_page_count_ == 0) first_key_id_ = first;
    ++good_page_count_;
    for (size_t i = 0; i < view->entry_count(); ++i) {
      const RunEntry entry = view->entry(i);
      const uint64_t entry_offset =
          offset + storage::kRunPageHeaderBytes + i * storage::kRunEntryBytes;
      if (block != nullptr && !storage::FilterBlockMayContain(block, entry.key_id())) {
        report_.AddDamage(entry_offset, "entry is not in the filter");
      }
      AddEntry(entry, entry_offset);
    }
    last_key_id_ = view->key_id(view->entry_count() - 1);
  }

  // Returns what the header of page `index` must say; without the run's header, what it says.
  RunPageHeader Expected(absl::string_view page, uint64_t index) const {
    RunPageHeader expected;
    std::memcpy(&expected, page.data(), sizeof(expected));
    expected.page_number = static_cast<uint32_t>(1 + index);
    if (!header_.has_value()) return expected;
    expected.entry_count = static_cast<uint16_t>(std::min<uint64_t>(
        storage::kRunEntriesPerPage, header_->entry_count - index * storage::kRunEntriesPerPage));
    expected.run_number_low = static_cast<uint32_t>(header_->run_number);
    return expected;
  }

  void AddEntry(const RunEntry& entry, uint64_t offset) {
    ++entry_count_;
    const storage::LocatedEntry& located = entry.located;
    if (located.damaged) {
      ++damaged_count_;
    } else if (located.entry.tombstone) {
      ++tombstone_count_;
    }
    if (!options_.records || !entries_.TakesRow(options_.limit)) return;
    const uint64_t expires_at_ms = located.entry.expires_at_ms;
    entries_.AddRow({offset, absl::BytesToHexString(located.entry.key_id.view()),
                     base::ToString(located.entry.version), located.entry.sequence,
                     absl::BytesToHexString(located.entry.value_digest.view()),
                     uint64_t{located.location.segment_number}, uint64_t{located.location.offset},
                     uint64_t{located.entry.record_bytes}, located.entry.tombstone, located.damaged,
                     entry.shadow_counted, ValueIf(expires_at_ms != 0, expires_at_ms)},
                    options_.limit);
  }

  // Compares what the header says of the entries with what was read.
  void CheckCounts() {
    if (!header_.has_value() || !all_pages_good_ || entry_count_ != header_->entry_count) return;
    if (tombstone_count_ != header_->tombstone_count || damaged_count_ != header_->damaged_count) {
      report_.AddDamage(
          0, absl::StrFormat("holds %d tombstones and %d damaged entries, its header says %d and "
                             "%d",
                             tombstone_count_, damaged_count_, header_->tombstone_count,
                             header_->damaged_count));
    }
    if (first_key_id_ != header_->first_key_id ||
        last_key_id_.value_or(base::KeyId()) != header_->last_key_id) {
      report_.AddDamage(0, "header names other first and last key_ids than its pages");
    }
  }

  const InspectSource& source_;
  const InspectOptions& options_;
  InspectReport report_;
  InspectTable entries_;
  absl::optional<RunHeader> header_;  // If it passes its checks.
  RunLayout layout_;
  bool fences_good_ = false;
  bool filter_good_ = false;
  bool all_pages_good_ = true;
  base::KeyId first_key_id_;
  absl::optional<base::KeyId> last_key_id_;  // Of the last good page so far.
  uint64_t good_page_count_ = 0;
  uint64_t entry_count_ = 0;
  uint64_t tombstone_count_ = 0;
  uint64_t damaged_count_ = 0;
};

}  // namespace

absl::StatusOr<InspectReport> InspectRun(const InspectSource& source,
                                         const InspectOptions& options) {
  return RunInspector(source, options).Run();
}

}  // namespace slipstream::cli
