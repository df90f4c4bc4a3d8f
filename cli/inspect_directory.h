// InspectDirectory: a data directory as a report of one line per file.
//
// Takes no lock: the node may run. Then files come and go, and its last segment may end in a frame
// that is being written.
#ifndef SLIPSTREAM_CLI_INSPECT_DIRECTORY_H_
#define SLIPSTREAM_CLI_INSPECT_DIRECTORY_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "cli/inspect_report.h"

namespace slipstream::cli {

// Inspects every file in `directory` that is ours by name or magic; names the others and the
// unfinished ones. A file that cannot be read makes the report incomplete. UNKNOWN if the directory
// itself cannot be read.
absl::StatusOr<InspectReport> InspectDirectory(const std::string& directory);

// Returns where the data of segment `number` of `directory` ends, if the segment after it or the
// manifest is there and says so. What it cannot read it does without.
absl::optional<uint64_t> FindDataEnd(const std::string& directory, uint64_t number);

}  // namespace slipstream::cli

#endif  // SLIPSTREAM_CLI_INSPECT_DIRECTORY_H_
