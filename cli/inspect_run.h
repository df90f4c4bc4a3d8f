// InspectRun: a run of the Sorted Log as a report. Layout: docs/sorted_log.md.
#ifndef SLIPSTREAM_CLI_INSPECT_RUN_H_
#define SLIPSTREAM_CLI_INSPECT_RUN_H_

#include "absl/status/statusor.h"
#include "cli/inspect_report.h"
#include "cli/inspect_source.h"

namespace slipstream::cli {

// Checks all pages of a run, its fences, its filter and the header's counts; lists its entries with
// options.records. A page that fails its checks is passed over; if the header does, the file's
// length says where the pages are. FAILED_PRECONDITION for a newer format, UNKNOWN if the file
// cannot be read.
absl::StatusOr<InspectReport> InspectRun(const InspectSource& source,
                                         const InspectOptions& options);

}  // namespace slipstream::cli

#endif  // SLIPSTREAM_CLI_INSPECT_RUN_H_
