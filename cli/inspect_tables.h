// The files that are written whole, as reports: identity, manifest, index, snapshot. Layouts:
// docs/storage_format.md, docs/sorted_log.md.
//
// What fails its checksum is shown nevertheless, as far as its length allows.
#ifndef SLIPSTREAM_CLI_INSPECT_TABLES_H_
#define SLIPSTREAM_CLI_INSPECT_TABLES_H_

#include "absl/status/statusor.h"
#include "cli/inspect_report.h"
#include "cli/inspect_source.h"

namespace slipstream::cli {

// Each: FAILED_PRECONDITION for a newer format, UNKNOWN if the file cannot be read.
absl::StatusOr<InspectReport> InspectIdentity(const InspectSource& source);
absl::StatusOr<InspectReport> InspectManifest(const InspectSource& source,
                                              const InspectOptions& options);
absl::StatusOr<InspectReport> InspectSnapshot(const InspectSource& source,
                                              const InspectOptions& options);
absl::StatusOr<InspectReport> InspectIndex(const InspectSource& source,
                                           const InspectOptions& options);

}  // namespace slipstream::cli

#endif  // SLIPSTREAM_CLI_INSPECT_TABLES_H_
