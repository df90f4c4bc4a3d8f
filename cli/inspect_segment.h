// InspectSegment: a segment of the log as a report. Layout: docs/storage_format.md.
//
// Looks at one file alone, and so does not decide what damage means for the log: that a bad frame
// at the end was torn by a crash is known only from the files beside it (storage/segment_scan.h).
#ifndef SLIPSTREAM_CLI_INSPECT_SEGMENT_H_
#define SLIPSTREAM_CLI_INSPECT_SEGMENT_H_

#include "absl/status/statusor.h"
#include "cli/inspect_report.h"
#include "cli/inspect_source.h"

namespace slipstream::cli {

// Reads a segment frame by frame and lists its frames and, with options.records, its records; those
// of a damaged frame as far as recovery would save them. After damage it goes on at the next whole
// frame. FAILED_PRECONDITION for a newer format, UNKNOWN if the file cannot be read.
absl::StatusOr<InspectReport> InspectSegment(const InspectSource& source,
                                             const InspectOptions& options);

}  // namespace slipstream::cli

#endif  // SLIPSTREAM_CLI_INSPECT_SEGMENT_H_
