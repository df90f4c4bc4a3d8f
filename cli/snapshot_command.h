// snapshot: save one of a running node, verify one, and restore one as a new node's data directory,
// the last two without a server.
#ifndef SLIPSTREAM_CLI_SNAPSHOT_COMMAND_H_
#define SLIPSTREAM_CLI_SNAPSHOT_COMMAND_H_

#include <string>

#include "absl/status/statusor.h"
#include "cli/command_line.h"
#include "cli/exit_code.h"
#include "cli/session.h"

namespace slipstream::cli {

// Holds the arguments. Not thread-safe.
class SnapshotCommand {
 public:
  // Adds the command to `line`, which this object must outlive.
  void Register(CommandLine& line);

 private:
  absl::StatusOr<ExitCode> Run(Session& session) const;
  absl::StatusOr<ExitCode> Save(Session& session) const;
  absl::StatusOr<ExitCode> Verify(Session& session) const;
  absl::StatusOr<ExitCode> Restore(Session& session) const;

  std::string action_;
  std::string path_;
  std::string data_directory_;
};

}  // namespace slipstream::cli

#endif  // SLIPSTREAM_CLI_SNAPSHOT_COMMAND_H_
