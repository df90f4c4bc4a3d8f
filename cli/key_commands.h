// put, get, delete and scan: keys and their values.
#ifndef SLIPSTREAM_CLI_KEY_COMMANDS_H_
#define SLIPSTREAM_CLI_KEY_COMMANDS_H_

#include <string>

#include "CLI/App.hpp"
#include "absl/status/statusor.h"
#include "cli/command_line.h"
#include "cli/exit_code.h"
#include "cli/session.h"
#include "slipstream/v1/kv.pb.h"

namespace slipstream::cli {

// Holds the arguments. Not thread-safe.
class KeyCommands {
 public:
  // Adds the commands to `line`, which this object must outlive.
  void Register(CommandLine& line);

 private:
  void RegisterPut(CommandLine& line);
  void RegisterScan(CommandLine& line);

  absl::StatusOr<ExitCode> Put(Session& session) const;
  absl::StatusOr<ExitCode> Get(Session& session) const;
  absl::StatusOr<ExitCode> Delete(Session& session) const;
  absl::StatusOr<ExitCode> Scan(Session& session) const;
  absl::StatusOr<std::string> ReadValue(Session& session) const;
  // Returns whether --if-absent or --if-version was given, and if so adds it to `request`.
  absl::StatusOr<bool> AddPrecondition(v1::TransactRequest& request) const;

  std::string key_;
  std::string value_;
  std::string value_file_;
  // An empty value is a value, so what was given is asked of the options.
  const CLI::Option* value_option_ = nullptr;
  const CLI::Option* value_file_option_ = nullptr;
  bool if_absent_ = false;
  std::string if_version_;
  std::string ttl_text_;
  std::string prefix_;
  std::string limit_text_;
  bool keys_only_ = false;
};

}  // namespace slipstream::cli

#endif  // SLIPSTREAM_CLI_KEY_COMMANDS_H_
