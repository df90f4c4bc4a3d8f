// inspect: any file of ours, or a data directory, as text. Asks no server.
#ifndef SLIPSTREAM_CLI_INSPECT_COMMAND_H_
#define SLIPSTREAM_CLI_INSPECT_COMMAND_H_

#include <string>

#include "absl/status/statusor.h"
#include "cli/command_line.h"
#include "cli/exit_code.h"
#include "cli/inspect_report.h"
#include "cli/session.h"

namespace slipstream::cli {

// Holds the arguments. Not thread-safe.
class InspectCommand {
 public:
  // Adds the command to `line`, which this object must outlive.
  void Register(CommandLine& line);

 private:
  absl::StatusOr<ExitCode> Inspect(Session& session) const;
  absl::StatusOr<InspectReport> InspectPath(InspectOptions options) const;

  std::string path_;
  bool records_ = false;
  std::string limit_text_;
};

}  // namespace slipstream::cli

#endif  // SLIPSTREAM_CLI_INSPECT_COMMAND_H_
