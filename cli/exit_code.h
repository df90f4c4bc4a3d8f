// What slipctl's exit code says, for scripts. Documented in `slipctl --help`; never renumbered.
#ifndef SLIPSTREAM_CLI_EXIT_CODE_H_
#define SLIPSTREAM_CLI_EXIT_CODE_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace slipstream::cli {

enum class ExitCode : int {
  kOk = 0,
  kError = 1,
  kUsage = 2,
  kNotFound = 3,
  kUnreachable = 4,
  kNotConverged = 5,
  kConflict = 6,
  kCorrupt = 7,
  kTimeout = 124,  // As timeout(1) has it.
};

// Returns an error of the command line itself: kUsage, where a server's INVALID_ARGUMENT is kError.
absl::Status UsageError(absl::string_view message);

// Returns whether `status` was made by UsageError.
bool IsUsageError(const absl::Status& status);

// Returns the exit code of a command that ended with `status`.
ExitCode ExitCodeOf(const absl::Status& status);

}  // namespace slipstream::cli

#endif  // SLIPSTREAM_CLI_EXIT_CODE_H_
