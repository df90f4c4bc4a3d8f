// Endpoint: HOST:PORT, as in --listen and --peers, and what can be said of one before gRPC has it.
#ifndef SLIPSTREAM_NODE_ENDPOINT_H_
#define SLIPSTREAM_NODE_ENDPOINT_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace slipstream::node {

struct Endpoint {
  std::string host;  // A name or an address, an IPv6 one without its brackets.
  uint16_t port = 0;
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

// Parses "host:port", "1.2.3.4:port" or "[::1]:port". INVALID_ARGUMENT saying what is wrong with
// it.
absl::StatusOr<Endpoint> ParseEndpoint(absl::string_view text);

// Returns what ParseEndpoint reads.
std::string ToString(const Endpoint& endpoint);

enum class Reach { kLoopback, kNetwork };

// Returns whether only this machine can reach `host`: all its addresses are loopback. May block on
// a look-up of the name. NOT_FOUND if it has no address.
absl::StatusOr<Reach> ReachOf(const std::string& host);

// Tries to listen on `endpoint` for a moment and says why that fails, in words for an operator; OK
// if it does not. ALREADY_EXISTS: the port is taken. For a better message after gRPC has failed.
absl::Status WhyNotListen(const Endpoint& endpoint);

}  // namespace slipstream::node

#endif  // SLIPSTREAM_NODE_ENDPOINT_H_
