#include "node/endpoint.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace slipstream::node {
namespace {

constexpr size_t kHostBytesMax = 253;  // RFC 1035.
constexpr absl::string_view kShape = "must be HOST:PORT, like 10.0.0.1:7400 or [::1]:7400";

struct FreeAddresses {
  void operator()(addrinfo* addresses) const { freeaddrinfo(addresses); }
};
using Addresses = std::unique_ptr<addrinfo, FreeAddresses>;

absl::StatusOr<Addresses> Resolve(const std::string& host, uint16_t port) {
  addrinfo hints = {};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* addresses = nullptr;
  const int error = getaddrinfo(host.c_str(), absl::StrCat(port).c_str(), &hints, &addresses);
  if (error != 0) {
    return absl::NotFoundError(absl::StrCat("host ", host, ": ", gai_strerror(error)));
  }
  return Addresses(addresses);
}

bool IsLoopback(const sockaddr* address) {
  if (address->sa_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(address);
    return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
  }
  if (address->sa_family == AF_INET6) {
    return IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr);
  }
  return false;
}

absl::Status ListenError(const Endpoint& endpoint, int error) {
  const std::string place = ToString(endpoint);
  switch (error) {
    case EADDRINUSE:
      return absl::AlreadyExistsError(
          absl::StrCat(place,
                       " is in use by another process; choose another port with --listen, "
                       "or port 0 for a free one"));
    case EACCES:
      return absl::PermissionDeniedError(absl::StrCat(
          place, ": user ", geteuid(), " may not listen there; ports below 1024 are privileged"));
    case EADDRNOTAVAIL:
      return absl::FailedPreconditionError(
          absl::StrCat(place, ": this machine has no such address"));
    default:
      return absl::UnavailableError(absl::StrCat(place, ": ", std::strerror(error)));
  }
}

}  // namespace

absl::StatusOr<Endpoint> ParseEndpoint(absl::string_view text) {
  const auto invalid = [text](absl::string_view what) {
    return absl::InvalidArgumentError(absl::StrCat("\"", text, "\": ", what, "; ", kShape));
  };
  const size_t colon = text.rfind(':');
  if (colon == absl::string_view::npos) return invalid("has no port");
  absl::string_view host = text.substr(0, colon);
  const absl::string_view port = text.substr(colon + 1);
  if (absl::StartsWith(host, "[") && absl::EndsWith(host, "]")) {
    host = host.substr(1, host.size() - 2);
    if (host.find(':') == absl::string_view::npos) {
      return invalid("what is in brackets is no IPv6 address");
    }
  } else if (host.find(':') != absl::string_view::npos) {
    return invalid("an IPv6 address stands in brackets");
  }
  if (host.empty()) return invalid("has no host");
  if (host.size() > kHostBytesMax || !std::all_of(host.begin(), host.end(), [](char c) {
        return absl::ascii_isalnum(c) || c == '.' || c == '-' || c == '_' || c == ':' || c == '%';
      })) {
    return invalid("the host is neither a name nor an address");
  }
  uint32_t number = 0;
  const bool digits = !port.empty() && std::all_of(port.begin(), port.end(), absl::ascii_isdigit);
  if (!digits || !absl::SimpleAtoi(port, &number) || number > UINT16_MAX) {
    return invalid("the port is no number from 0 to 65535");
  }
  return Endpoint{.host = std::string(host), .port = static_cast<uint16_t>(number)};
}

std::string ToString(const Endpoint& endpoint) {
  const bool brackets = endpoint.host.find(':') != std::string::npos;
  return absl::StrCat(brackets ? "[" : "", endpoint.host, brackets ? "]:" : ":", endpoint.port);
}

absl::StatusOr<Reach> ReachOf(const std::string& host) {
  SLIP_ASSIGN_OR_RETURN(const Addresses addresses, Resolve(host, 0));
  for (const addrinfo* address = addresses.get(); address != nullptr; address = address->ai_next) {
    if (!IsLoopback(address->ai_addr)) return Reach::kNetwork;
  }
  return Reach::kLoopback;
}

absl::Status WhyNotListen(const Endpoint& endpoint) {
  SLIP_ASSIGN_OR_RETURN(const Addresses addresses, Resolve(endpoint.host, endpoint.port));
  for (const addrinfo* address = addresses.get(); address != nullptr; address = address->ai_next) {
    const int socket_fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (socket_fd < 0) return ListenError(endpoint, errno);
    const absl::Cleanup close_socket = [socket_fd] { close(socket_fd); };
    // As gRPC does: connections of an earlier daemon that linger do not count.
    const int on = 1;
    setsockopt(socket_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(socket_fd, address->ai_addr, address->ai_addrlen) != 0 || listen(socket_fd, 1) != 0) {
      return ListenError(endpoint, errno);
    }
  }
  return absl::OkStatus();
}

}  // namespace slipstream::node
