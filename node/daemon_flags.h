// The command line of slipstreamd: every flag, its default, its bounds and its help.
#ifndef SLIPSTREAM_NODE_DAEMON_FLAGS_H_
#define SLIPSTREAM_NODE_DAEMON_FLAGS_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "node/log.h"
#include "node/server.h"
#include "storage/posix_file_system.h"

namespace slipstream::node {

inline constexpr size_t kPeersMax = 63;
inline constexpr absl::Duration kGossipIntervalMin = absl::Milliseconds(10);
inline constexpr absl::Duration kGossipIntervalMax = absl::Hours(1);
inline constexpr absl::Duration kSyncIntervalMax = absl::Minutes(1);

struct DaemonOptions {
  ServerOptions server;
  LogFormat log_format = LogFormat::kText;
  bool insecure_allow_remote = false;
  storage::DirectIo direct_io = storage::DirectIo::kWherePossible;
  storage::UseIoUring io_uring = storage::UseIoUring::kWherePossible;
};

struct ParsedFlags {
  absl::optional<std::string> text;  // Asked for by --help or --version: print it and leave.
  DaemonOptions options;             // If there is no text.
};

// Reads the words after the program's name. INVALID_ARGUMENT, in one line that names the flag, what
// it holds and what it may hold.
absl::StatusOr<ParsedFlags> ParseDaemonFlags(const std::vector<std::string>& arguments);

// FAILED_PRECONDITION if another machine could reach the address to listen on and that was not
// asked for; NOT_FOUND if its host has no address. May block on a look-up of the name.
absl::Status CheckListenReach(const DaemonOptions& options);

}  // namespace slipstream::node

#endif  // SLIPSTREAM_NODE_DAEMON_FLAGS_H_
