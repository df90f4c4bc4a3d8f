// The text of --help.
#ifndef SLIPSTREAM_CLI_HELP_H_
#define SLIPSTREAM_CLI_HELP_H_

#include <string>
#include <vector>

#include "CLI/App.hpp"

namespace slipstream::cli {

struct CommandHelp {
  std::string group;                  // Heading of the overview under which it stands.
  std::string summary;                // One line, no full stop.
  std::string details;                // Further lines; may be empty.
  std::vector<std::string> examples;  // At least two.
};

struct CommandWithHelp {
  const CLI::App* app = nullptr;
  const CommandHelp* help = nullptr;
};

// Returns the help of the program: all commands, shared flags, exit codes.
std::string ProgramHelp(const CLI::App& app, const std::vector<CommandWithHelp>& commands);

// Returns the help of one command: its arguments and flags, and its examples.
std::string CommandHelpText(const CommandWithHelp& command, const CLI::App& program);

}  // namespace slipstream::cli

#endif  // SLIPSTREAM_CLI_HELP_H_
