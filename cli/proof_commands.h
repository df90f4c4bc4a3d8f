// prove and verify: proofs that a key is there or not, checked with nothing but a root.
#ifndef SLIPSTREAM_CLI_PROOF_COMMANDS_H_
#define SLIPSTREAM_CLI_PROOF_COMMANDS_H_

#include <string>

#include "absl/status/statusor.h"
#include "cli/command_line.h"
#include "cli/exit_code.h"
#include "cli/session.h"

namespace slipstream::cli {

// Holds the arguments. Not thread-safe.
class ProofCommands {
 public:
  // Adds the commands to `line`, which this object must outlive.
  void Register(CommandLine& line);

 private:
  absl::StatusOr<ExitCode> Prove(Session& session) const;
  absl::StatusOr<ExitCode> Verify(Session& session) const;

  std::string key_;
  std::string file_;
  std::string root_text_;
};

}  // namespace slipstream::cli

#endif  // SLIPSTREAM_CLI_PROOF_COMMANDS_H_
