// What the inspectors of segments and runs, files of pages with a header in the first, check alike.
#ifndef SLIPSTREAM_CLI_INSPECT_HEADER_H_
#define SLIPSTREAM_CLI_INSPECT_HEADER_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "cli/inspect_report.h"
#include "cli/inspect_source.h"

namespace slipstream::cli {

// All add to `report` what does not hold.

// Returns the first page, nullopt if the file ends within it. UNKNOWN if it cannot be read.
absl::StatusOr<absl::optional<std::string>> ReadHeaderPage(const InspectSource& source,
                                                           InspectReport& report);

// The file must be as long as its header says.
void CheckLength(const InspectSource& source, uint64_t header_bytes, InspectReport& report);

// The number in the file's name, if it has one, must be that of its header. The report has its kind
// already.
void CheckNumber(uint64_t header_number, absl::optional<uint64_t> named_number,
                 InspectReport& report);

}  // namespace slipstream::cli

#endif  // SLIPSTREAM_CLI_INSPECT_HEADER_H_
