// Durations as people write and read them on a command line.
#ifndef SLIPSTREAM_CLI_DURATION_H_
#define SLIPSTREAM_CLI_DURATION_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace slipstream::cli {

// The longest duration that a flag takes.
inline constexpr absl::Duration kDurationMax = absl::Hours(24 * 365);

// Parses "500ms", "2s", "1m30s", "1h". INVALID_ARGUMENT, saying what would be right, unless it is
// longer than 0 and at most kDurationMax.
absl::StatusOr<absl::Duration> ParseDuration(absl::string_view text);

// Returns the two greatest units that matter: "120 ms", "2.5 s", "3 min 20 s", "5 h 1 min",
// "2 days 3 h". `duration` must not be negative.
std::string DescribeDuration(absl::Duration duration);

}  // namespace slipstream::cli

#endif  // SLIPSTREAM_CLI_DURATION_H_
