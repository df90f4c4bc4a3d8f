#include "cli/inspect_directory.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "base/status_macros.h"
#include "cli/inspect_file.h"
#include "cli/inspect_source.h"
#include "cli/text.h"
#include "storage/frame.h"
#include "storage/manifest.h"
#include "storage/segment.h"

namespace slipstream::cli {
namespace {

using storage::SegmentHeader;
using DataEnds = std::map<uint64_t, uint64_t>;  // By number of the segment.

constexpr absl::string_view kLockName = "lock";
constexpr absl::string_view kUnfinishedSuffix = ".tmp";
constexpr size_t kFrontBytes = 8;

std::string PathOf(const std::string& directory, const std::string& name) {
  return absl::StrCat(directory, "/", name);
}

// Returns the names in `directory`, sorted.
absl::StatusOr<std::vector<std::string>> NamesIn(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code error;
  std::filesystem::directory_iterator entry(directory, error);
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    names.push_back(entry->path().filename().string());
  }
  if (error) {
    return absl::UnknownError(
        absl::StrCat("cannot read ", Quote(directory), ": ", error.message()));
  }
  std::sort(names.begin(), names.end());
  return names;
}

// Returns the headers of the segments whose headers are good, by their number.
std::map<uint64_t, SegmentHeader> HeadersOf(const std::string& directory,
                                            const std::vector<std::string>& names) {
  std::map<uint64_t, SegmentHeader> headers;
  for (const std::string& name : names) {
    if (!storage::ParseSegmentFileName(name).has_value()) continue;
    const auto source = OpenInspectSource(PathOf(directory, name));
    if (!source.ok() || (*source)->size() < storage::kPageBytes) continue;
    const absl::StatusOr<std::string> page = (*source)->Read(0, storage::kPageBytes);
    if (!page.ok()) continue;
    const absl::StatusOr<SegmentHeader> header = storage::DecodeSegmentHeader(*page);
    if (header.ok()) headers[header->segment_number] = *header;
  }
  return headers;
}

std::vector<storage::SegmentGap> GapsOf(const std::string& directory) {
  const auto source = OpenInspectSource(PathOf(directory, std::string(storage::kManifestFileName)));
  constexpr uint64_t kBytesMax =
      storage::kManifestHeaderBytes + storage::kManifestGapsMax * storage::kSegmentGapBytes;
  if (!source.ok() || (*source)->size() > kBytesMax) return {};
  const absl::StatusOr<std::string> bytes = (*source)->Read(0, (*source)->size());
  if (!bytes.ok()) return {};
  absl::StatusOr<storage::Manifest> manifest = storage::DecodeManifest(*bytes);
  if (!manifest.ok()) return {};
  return std::move(manifest->gaps);
}

DataEnds DataEndsOf(const std::string& directory, const std::vector<std::string>& names) {
  const std::map<uint64_t, SegmentHeader> headers = HeadersOf(directory, names);
  DataEnds ends;
  const auto note = [&headers, &ends](uint64_t number, uint64_t incarnation, uint64_t end) {
    const auto header = headers.find(number);
    if (header != headers.end() && header->second.incarnation != incarnation) return;
    ends[number] = end;
  };
  for (const storage::SegmentGap& gap : GapsOf(directory)) {
    note(gap.previous.number, gap.previous.incarnation, gap.previous.end_offset);
  }
  for (const auto& [number, header] : headers) {
    note(header.previous_segment_number, header.previous_incarnation, header.previous_end_offset);
  }
  return ends;
}

class DirectoryInspector {
 public:
  DirectoryInspector(const std::string& directory, std::vector<std::string> names)
      : directory_(directory), names_(std::move(names)) {
    files_.name = "files";
    files_.columns = {"name", "kind", "file_bytes", "checks", "what"};
  }

  InspectReport Run() && {
    ends_ = DataEndsOf(directory_, names_);
    for (const std::string& name : names_) InspectOne(name);
    InspectReport report;
    report.kind = "directory";
    report.summary = {{"passed_count", passed_count_},
                      {"failed_count", failed_count_},
                      {"unreadable_count", unreadable_count_}};
    report.passes = failed_count_ == 0;
    report.complete = unreadable_count_ == 0;
    report.verdict = absl::StrCat(FormatCount(passed_count_, "file passes", "files pass"),
                                  " all checks, ", FormatCount(failed_count_), " not");
    if (unreadable_count_ != 0) {
      absl::StrAppend(&report.verdict, ", ", FormatCount(unreadable_count_), " cannot be read");
    }
    report.tables.push_back(std::move(files_));
    return report;
  }

 private:
  void InspectOne(const std::string& name) {
    if (name == kLockName) return AddUnchecked(name, "lock");
    if (absl::EndsWith(name, kUnfinishedSuffix)) return AddUnchecked(name, "unfinished");
    const absl::StatusOr<bool> is_directory = IsDirectory(PathOf(directory_, name));
    if (is_directory.ok() && *is_directory) return AddUnchecked(name, "directory");
    const auto source = OpenInspectSource(PathOf(directory_, name));
    if (!source.ok()) return AddUnread(name, source.status());
    const absl::StatusOr<std::string> front =
        (*source)->Read(0, std::min<uint64_t>((*source)->size(), kFrontBytes));
    if (!front.ok()) return AddUnread(name, front.status());
    const FileKind kind = KindOfBytes(*front);
    const bool has_magic =
        kind != FileKind::kUnknown && kind != FileKind::kProof && kind != FileKind::kZeros;
    if (!has_magic && KindOfName(name) == FileKind::kUnknown) return AddUnchecked(name, "other");
    AddReport(name, InspectFile(**source, OptionsFor(name)));
  }

  InspectOptions OptionsFor(const std::string& name) const {
    InspectOptions options;
    options.name = name;
    options.limit = 0;
    if (const auto number = storage::ParseSegmentFileName(name); number.has_value()) {
      if (const auto end = ends_.find(*number); end != ends_.end()) options.data_end = end->second;
    }
    return options;
  }

  void AddReport(const std::string& name, const absl::StatusOr<InspectReport>& report) {
    if (!report.ok()) return AddUnread(name, report.status());
    if (report->passes) {
      ++passed_count_;
      AddRow({name, report->kind, report->file_bytes, std::string("passed"), {}});
      return;
    }
    ++failed_count_;
    const InspectDamage& first = report->damage.front();
    const uint64_t more = report->damage.size() + report->damage_left_out - 1;
    std::string what = absl::StrCat("offset ", first.offset, ": ", first.what);
    if (more != 0) absl::StrAppend(&what, ", and ", FormatCount(more), " more");
    AddRow({name, report->kind, report->file_bytes, std::string("failed"), std::move(what)});
  }

  void AddUnread(const std::string& name, const absl::Status& status) {
    // What was there when the names were read may be gone by now.
    if (absl::IsNotFound(status)) return;
    ++unreadable_count_;
    AddRow({name, {}, {}, std::string("unreadable"), std::string(status.message())});
  }

  void AddUnchecked(const std::string& name, const std::string& kind) {
    AddRow({name, kind, {}, {}, {}});
  }

  void AddRow(std::vector<InspectValue> row) { files_.AddRow(std::move(row), UINT64_MAX); }

  const std::string& directory_;
  const std::vector<std::string> names_;
  DataEnds ends_;
  InspectTable files_;
  uint64_t passed_count_ = 0;
  uint64_t failed_count_ = 0;
  uint64_t unreadable_count_ = 0;
};

}  // namespace

absl::StatusOr<InspectReport> InspectDirectory(const std::string& directory) {
  SLIP_ASSIGN_OR_RETURN(std::vector<std::string> names, NamesIn(directory));
  return DirectoryInspector(directory, std::move(names)).Run();
}

absl::optional<uint64_t> FindDataEnd(const std::string& directory, uint64_t number) {
  const absl::StatusOr<std::vector<std::string>> names = NamesIn(directory);
  if (!names.ok()) return absl::nullopt;
  const DataEnds ends = DataEndsOf(directory, *names);
  const auto end = ends.find(number);
  return end == ends.end() ? absl::nullopt : absl::make_optional(end->second);
}

}  // namespace slipstream::cli
