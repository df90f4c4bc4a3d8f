// CommandLine: from the words of the command line to a command that runs and an exit code.
//
// Commands register themselves; this knows the flags that all of them share, the help, and how an
// error is told.
#ifndef SLIPSTREAM_CLI_COMMAND_LINE_H_
#define SLIPSTREAM_CLI_COMMAND_LINE_H_

#include <functional>
#include <istream>
#include <map>
#include <ostream>
#include <string>
#include <vector>

#include "CLI/App.hpp"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "cli/exit_code.h"
#include "cli/help.h"
#include "cli/session.h"

namespace slipstream::cli {

inline constexpr absl::string_view kEndpointDefault = "127.0.0.1:7400";
inline constexpr absl::string_view kEndpointVariable = "SLIPCTL_ENDPOINT";

using Command = std::function<absl::StatusOr<ExitCode>(Session&)>;

struct CommandSpec {
  std::string name;
  CommandHelp help;
  absl::Duration timeout = absl::Seconds(2);  // When --timeout is not given.
  bool has_raw_output = false;
};

struct Streams {
  std::istream& in;
  std::ostream& out;
  std::ostream& error;
};

// Not thread-safe.
class CommandLine {
 public:
  CommandLine();
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  // Adds a command that does `run`. The command's own arguments are added to what is returned,
  // which this object owns; their targets must outlive it.
  CLI::App& Add(const CommandSpec& spec, Command run);

  // Parses `arguments` (without the program's name) and runs the command that they name. Each error
  // is written once, to `streams.error`.
  ExitCode Run(const std::vector<std::string>& arguments, const Streams& streams);

 private:
  struct Entry {
    CommandSpec spec;
    Command run;
    CLI::App* app = nullptr;
  };

  ExitCode RunChosen(const Streams& streams);
  absl::StatusOr<ExitCode> RunEntry(const Entry& entry, const Streams& streams);
  // Returns the command that was parsed; null if none was.
  const Entry* Chosen() const;
  std::string HelpForChosen() const;
  // Returns what is wrong with a command line that CLI11 refused with `error`.
  std::string ExplainParseError(const CLI::ParseError& error) const;
  std::string ExplainUnexpected(const std::string& word) const;
  ExitCode ReportUsage(absl::string_view message, const Streams& streams) const;

  CLI::App app_;
  std::vector<Entry> entries_;  // In the order of the help.
  std::string endpoint_text_;
  std::string timeout_text_;
  std::string format_text_;
};

}  // namespace slipstream::cli

#endif  // SLIPSTREAM_CLI_COMMAND_LINE_H_
