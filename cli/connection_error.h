// Why a connection failed, in the words of a person: gRPC's own text buries it.
#ifndef SLIPSTREAM_CLI_CONNECTION_ERROR_H_
#define SLIPSTREAM_CLI_CONNECTION_ERROR_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace slipstream::cli {

struct FailedEndpoint {
  std::string endpoint;
  std::string cause;
};

// Returns "connection refused", "the name is not known", ... for what gRPC says of a failed
// attempt; its last clause if none of the known causes is in it.
std::string ExplainConnectionFailure(absl::string_view grpc_message);

// Returns UNAVAILABLE: which endpoints (at least one) could not be reached, each with its cause,
// and, on a line of its own, what to look at first.
absl::Status UnreachableError(const std::vector<FailedEndpoint>& failed);

}  // namespace slipstream::cli

#endif  // SLIPSTREAM_CLI_CONNECTION_ERROR_H_
