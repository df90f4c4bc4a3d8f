// slipctl, the command line of Slipstream. Start reading with command_line.h.

#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "cli/cluster_commands.h"
#include "cli/command_line.h"
#include "cli/import_command.h"
#include "cli/inspect_command.h"
#include "cli/key_commands.h"
#include "cli/proof_commands.h"
#include "cli/snapshot_command.h"

int main(int argc, char** argv) {
  // gRPC would write its own lines beside ours; who looks for them sets the variable.
  setenv("GRPC_VERBOSITY", "NONE", /*replace=*/0);
  std::ios::sync_with_stdio(false);
  slipstream::cli::KeyCommands key_commands;
  slipstream::cli::ImportCommand import_command;
  slipstream::cli::ClusterCommands cluster_commands;
  slipstream::cli::ProofCommands proof_commands;
  slipstream::cli::SnapshotCommand snapshot_command;
  slipstream::cli::InspectCommand inspect_command;
  slipstream::cli::CommandLine line;
  key_commands.Register(line);
  import_command.Register(line);
  cluster_commands.Register(line);
  proof_commands.Register(line);
  snapshot_command.Register(line);
  inspect_command.Register(line);
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  return static_cast<int>(
      line.Run(arguments, {.in = std::cin, .out = std::cout, .error = std::cerr}));
}
