// InspectFile: any file of ours as a report: finds out what it is, and has the right inspector read
// it.
#ifndef SLIPSTREAM_CLI_INSPECT_FILE_H_
#define SLIPSTREAM_CLI_INSPECT_FILE_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "cli/inspect_report.h"
#include "cli/inspect_source.h"

namespace slipstream::cli {

enum class FileKind {
  kIdentity,
  kManifest,
  kIndex,
  kSnapshot,
  kSegment,
  kRun,
  kProof,
  kZeros,
  kUnknown,
};

// Returns what `front`, the first bytes of a file, says that it is: its magic. An empty file is of
// unknown kind.
FileKind KindOfBytes(absl::string_view front);

// Returns what a file in a data directory or a snapshot is by its name; kUnknown for other names.
FileKind KindOfName(absl::string_view name);

// Reads a file by its magic. If that is none of ours, it counts as damaged, and is read as what
// options.name says. FAILED_PRECONDITION for a newer format, UNKNOWN if it cannot be read.
absl::StatusOr<InspectReport> InspectFile(const InspectSource& source,
                                          const InspectOptions& options);

}  // namespace slipstream::cli

#endif  // SLIPSTREAM_CLI_INSPECT_FILE_H_
