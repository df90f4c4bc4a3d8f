// The addresses that --endpoint and SLIPCTL_ENDPOINT name.
#ifndef SLIPSTREAM_CLI_ENDPOINT_H_
#define SLIPSTREAM_CLI_ENDPOINT_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace slipstream::cli {

// Parses "HOST:PORT,HOST:PORT"; an IPv6 host stands in brackets. At least one; repeated ones count
// once. INVALID_ARGUMENT naming the part that is wrong.
absl::StatusOr<std::vector<std::string>> ParseEndpoints(absl::string_view text);

}  // namespace slipstream::cli

#endif  // SLIPSTREAM_CLI_ENDPOINT_H_
