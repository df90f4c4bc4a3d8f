// root, status, members and wait: what the cluster is, and whether its copies agree.
#ifndef SLIPSTREAM_CLI_CLUSTER_COMMANDS_H_
#define SLIPSTREAM_CLI_CLUSTER_COMMANDS_H_

#include "absl/status/statusor.h"
#include "cli/command_line.h"
#include "cli/exit_code.h"
#include "cli/session.h"

namespace slipstream::cli {

// Holds the arguments. Not thread-safe.
class ClusterCommands {
 public:
  // Adds the commands to `line`, which this object must outlive.
  void Register(CommandLine& line);

 private:
  absl::StatusOr<ExitCode> Wait(Session& session) const;

  bool converged_ = false;
};

}  // namespace slipstream::cli

#endif  // SLIPSTREAM_CLI_CLUSTER_COMMANDS_H_
