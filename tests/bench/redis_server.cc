#include "tests/bench/redis_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace slipstream::bench {
namespace {

// Another process may take a port that was free a moment ago.
constexpr int kAttempts = 5;

absl::StatusOr<uint16_t> FreePort() {
  const int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return absl::UnavailableError(std::strerror(errno));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  const bool is_bound =
      bind(descriptor, generic, length) == 0 && getsockname(descriptor, generic, &length) == 0;
  close(descriptor);
  if (!is_bound) return absl::UnavailableError("no free port on 127.0.0.1");
  return ntohs(address.sin_port);
}

absl::StatusOr<RedisServer> TryStart(const std::string& directory, absl::string_view appendfsync) {
  SLIP_ASSIGN_OR_RETURN(const uint16_t port, FreePort());
  RedisServer server;
  server.address = absl::StrCat("127.0.0.1:", port);
  // Rewriting the file would fork it in the middle of a run: off, which is in its favour.
  SLIP_ASSIGN_OR_RETURN(
      server.process,
      ChildProcess::StartUntil(
          "redis-check-rdb",
          {"redis-server", "--bind", "127.0.0.1", "--port", absl::StrCat(port), "--dir", directory,
           "--save", "", "--appendonly", "yes", "--appendfsync", std::string(appendfsync),
           "--auto-aof-rewrite-percentage", "0", "--daemonize", "no"},
          "Ready to accept connections"));
  return server;
}

}  // namespace

absl::StatusOr<RedisServer> StartRedis(const std::string& directory,
                                       absl::string_view appendfsync) {
  absl::StatusOr<RedisServer> server = TryStart(directory, appendfsync);
  for (int attempt = 1; attempt < kAttempts && !server.ok(); ++attempt) {
    server = TryStart(directory, appendfsync);
  }
  if (server.ok()) return server;
  return absl::UnavailableError(
      absl::StrCat("redis, which tools/setup.sh installs: ", server.status().message()));
}

}  // namespace slipstream::bench
