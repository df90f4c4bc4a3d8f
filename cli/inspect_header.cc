#include "cli/inspect_header.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "storage/frame.h"

namespace slipstream::cli {

absl::StatusOr<absl::optional<std::string>> ReadHeaderPage(const InspectSource& source,
                                                           InspectReport& report) {
  if (source.size() < storage::kPageBytes) {
    report.AddDamage(source.size(),
                     absl::StrFormat("ends after %d bytes, within its header", source.size()));
    return absl::optional<std::string>();
  }
  SLIP_ASSIGN_OR_RETURN(std::string page, source.Read(0, storage::kPageBytes));
  return absl::optional<std::string>(std::move(page));
}

void CheckLength(const InspectSource& source, uint64_t header_bytes, InspectReport& report) {
  if (header_bytes == source.size()) return;
  report.AddDamage(
      std::min(header_bytes, source.size()),
      absl::StrFormat("is %d bytes long, its header says %d", source.size(), header_bytes));
}

void CheckNumber(uint64_t header_number, absl::optional<uint64_t> named_number,
                 InspectReport& report) {
  if (!named_number.has_value() || *named_number == header_number) return;
  report.AddDamage(0, absl::StrFormat("is %s %d by its header, %d by its name", report.kind,
                                      header_number, *named_number));
}

}  // namespace slipstream::cli
