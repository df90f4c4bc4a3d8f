// import: many keys from a file or a pipe, at the speed of the pipeline.
#ifndef SLIPSTREAM_CLI_IMPORT_COMMAND_H_
#define SLIPSTREAM_CLI_IMPORT_COMMAND_H_

#include <string>

#include "absl/status/statusor.h"
#include "cli/command_line.h"
#include "cli/exit_code.h"
#include "cli/session.h"

namespace slipstream::cli {

// Holds the arguments. Not thread-safe.
class ImportCommand {
 public:
  // Adds the command to `line`, which this object must outlive.
  void Register(CommandLine& line);

 private:
  absl::StatusOr<ExitCode> Import(Session& session) const;

  std::string file_ = "-";
  bool delete_ = false;
};

}  // namespace slipstream::cli

#endif  // SLIPSTREAM_CLI_IMPORT_COMMAND_H_
