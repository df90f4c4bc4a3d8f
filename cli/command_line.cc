#include "cli/command_line.h"

#include <algorithm>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/error_reason.h"
#include "base/program_version.h"
#include "base/status_macros.h"
#include "cli/duration.h"
#include "cli/endpoint.h"
#include "cli/exit_code.h"
#include "cli/help.h"
#include "cli/session.h"
#include "cli/suggest.h"
#include "cli/text.h"

namespace slipstream::cli {
namespace {

// Returns the form that CLI11 wants of a function that checks an argument.
template <typename Parse>
std::function<std::string(const std::string&)> CheckedBy(Parse parse) {
  return [parse](const std::string& text) { return std::string(parse(text).status().message()); };
}

absl::StatusOr<OutputFormat> ParseFormat(absl::string_view text) {
  if (text == "table") return OutputFormat::kTable;
  if (text == "json") return OutputFormat::kJson;
  if (text == "raw") return OutputFormat::kRaw;
  return absl::InvalidArgumentError(
      absl::StrCat(Quote(text), " is not a format; write table, json or raw"));
}

// Returns the arguments with "help X" as "X --help", and with "--flag=" as the two words that CLI11
// needs for an empty value.
std::vector<std::string> Normalize(const std::vector<std::string>& arguments) {
  std::vector<std::string> words = arguments;
  if (!words.empty() && words.front() == "help") {
    words.erase(words.begin());
    words.push_back("--help");
  }
  std::vector<std::string> normalized;
  bool flags_over = false;
  for (std::string& word : words) {
    flags_over = flags_over || word == "--";
    const bool empty_value =
        !flags_over && absl::StartsWith(word, "--") && absl::EndsWith(word, "=");
    if (empty_value) word.pop_back();
    normalized.push_back(std::move(word));
    if (empty_value) normalized.push_back("");
  }
  return normalized;
}

}  // namespace

CommandLine::CommandLine() : app_("slipctl speaks to a Slipstream cluster.", "slipctl") {
  app_.require_subcommand(0, 1);
  app_.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  app_.set_help_flag("-h,--help", "Show this text, or with a command its own");
  app_.set_version_flag("--version", absl::StrCat("slipctl ", base::kProgramVersion),
                        "Show the version");
  app_.add_option("--endpoint", endpoint_text_,
                  absl::StrCat("Nodes to ask, the next one if one cannot be reached\n(default ",
                               kEndpointDefault, ", or $", kEndpointVariable, ")"))
      ->type_name("HOST:PORT,...")
      ->envname(std::string(kEndpointVariable))
      ->check(CheckedBy(ParseEndpoints));
  app_.add_option("-o,--output", format_text_, "table, json or raw (default table)")
      ->type_name("FORMAT")
      ->check(CheckedBy(ParseFormat));
  app_.add_option("--timeout", timeout_text_,
                  "How long to wait, as 500ms, 2s or 1m\n(default 2s; wait: 30s; snapshot: 10m)")
      ->type_name("DURATION")
      ->check(CheckedBy(ParseDuration));
}

CLI::App& CommandLine::Add(const CommandSpec& spec, Command run) {
  CLI::App* app = app_.add_subcommand(spec.name);
  app->set_help_flag();
  app->fallthrough();
  entries_.push_back({spec, std::move(run), app});
  return *app;
}

ExitCode CommandLine::Run(const std::vector<std::string>& arguments, const Streams& streams) {
  std::vector<std::string> words = Normalize(arguments);
  // CLI11 takes its arguments from the back.
  std::reverse(words.begin(), words.end());
  try {
    app_.parse(std::move(words));
  } catch (const CLI::CallForHelp&) {
    streams.out << HelpForChosen() << std::flush;
    return ExitCode::kOk;
  } catch (const CLI::CallForVersion& version) {
    streams.out << version.what() << "\n" << std::flush;
    return ExitCode::kOk;
  } catch (const CLI::ParseError& error) {
    return ReportUsage(ExplainParseError(error), streams);
  }
  if (Chosen() == nullptr) {
    streams.error << HelpForChosen();
    return ExitCode::kUsage;
  }
  return RunChosen(streams);
}

ExitCode CommandLine::RunChosen(const Streams& streams) {
  absl::StatusOr<ExitCode> code = RunEntry(*Chosen(), streams);
  streams.out.flush();
  if (code.ok() && !streams.out) code = absl::UnknownError("cannot write to standard output");
  if (code.ok()) return *code;
  const absl::Status& status = code.status();
  if (IsUsageError(status)) return ReportUsage(status.message(), streams);
  const std::string reason = base::ReasonOf(status);
  streams.error << "slipctl: " << status.message()
                << (reason.empty() ? "" : absl::StrCat(" (", reason, ")")) << "\n";
  return ExitCodeOf(status);
}

absl::StatusOr<ExitCode> CommandLine::RunEntry(const Entry& entry, const Streams& streams) {
  Session session{.in = streams.in, .out = streams.out, .error = streams.error};
  const absl::string_view endpoints = endpoint_text_.empty() ? kEndpointDefault : endpoint_text_;
  SLIP_ASSIGN_OR_RETURN(session.endpoints, ParseEndpoints(endpoints));
  session.timeout = entry.spec.timeout;
  if (!timeout_text_.empty()) {
    SLIP_ASSIGN_OR_RETURN(session.timeout, ParseDuration(timeout_text_));
  }
  if (!format_text_.empty()) {
    SLIP_ASSIGN_OR_RETURN(session.format, ParseFormat(format_text_));
  }
  if (session.format == OutputFormat::kRaw && !entry.spec.has_raw_output) {
    return UsageError("has no raw output; use -o table or -o json");
  }
  return entry.run(session);
}

const CommandLine::Entry* CommandLine::Chosen() const {
  for (const Entry& entry : entries_) {
    if (entry.app->parsed()) return &entry;
  }
  return nullptr;
}

std::string CommandLine::HelpForChosen() const {
  if (const Entry* entry = Chosen(); entry != nullptr) {
    return CommandHelpText({entry->app, &entry->spec.help}, app_);
  }
  std::vector<CommandWithHelp> commands;
  for (const Entry& entry : entries_) commands.push_back({entry.app, &entry.spec.help});
  return ProgramHelp(app_, commands);
}

std::string CommandLine::ExplainParseError(const CLI::ParseError& error) const {
  // What was not understood is the likelier mistake, whatever else is missing because of it.
  const std::vector<std::string> unexpected = app_.remaining(/*recurse=*/true);
  if (!unexpected.empty()) return ExplainUnexpected(unexpected.front());
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr) {
    const absl::string_view text = error.what();
    return absl::StrCat(text.substr(0, text.find(':')), " needs a value");
  }
  return error.what();
}

std::string CommandLine::ExplainUnexpected(const std::string& word) const {
  const bool flag = absl::StartsWith(word, "-");
  const Entry* entry = Chosen();
  if (!flag && entry != nullptr) return absl::StrCat("unexpected argument ", Quote(word));
  std::vector<std::string> candidates;
  if (flag) {
    const auto add_flags = [&candidates](const CLI::App& app) {
      for (const CLI::Option* option : app.get_options()) {
        for (const std::string& name : option->get_lnames()) candidates.push_back("--" + name);
      }
    };
    if (entry != nullptr) add_flags(*entry->app);
    add_flags(app_);
  } else {
    for (const Entry& one : entries_) candidates.push_back(one.spec.name);
  }
  const std::string name = word.substr(0, word.find('='));
  std::string text = absl::StrCat("unknown ", flag ? "flag " : "command ", Quote(name));
  if (const std::string meant = Suggest(name, candidates); !meant.empty()) {
    absl::StrAppend(&text, "; did you mean ", Quote(meant), "?");
  } else if (flag && entry != nullptr) {
    absl::StrAppend(&text, "; if it is an argument, write -- before it");
  }
  return text;
}

ExitCode CommandLine::ReportUsage(absl::string_view message, const Streams& streams) const {
  const Entry* entry = Chosen();
  const std::string program =
      entry == nullptr ? "slipctl" : absl::StrCat("slipctl ", entry->spec.name);
  streams.error << program << ": " << message << "\nsee: " << program << " --help\n";
  return ExitCode::kUsage;
}

}  // namespace slipstream::cli
