#include "cli/help.h"

#include <string>
#include <vector>

#include "CLI/App.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

namespace slipstream::cli {
namespace {

constexpr absl::string_view kExitCodes =
    "Exit codes:\n"
    "  0 ok             1 error          2 usage\n"
    "  3 not found      4 unreachable    5 not converged\n"
    "  6 conflict       7 corrupt        124 timeout\n";

// Returns "-o, --output FORMAT"; positional arguments have their name alone.
std::string Spelling(const CLI::Option& option) {
  if (option.get_positional()) return option.get_name();
  std::vector<std::string> names;
  for (const std::string& name : option.get_snames()) names.push_back(absl::StrCat("-", name));
  for (const std::string& name : option.get_lnames()) names.push_back(absl::StrCat("--", name));
  std::string spelling = absl::StrJoin(names, ", ");
  // Flags take no value, so they have no type.
  if (option.get_items_expected_max() > 0) absl::StrAppend(&spelling, " ", option.get_type_name());
  return spelling;
}

// The left column's width, the same in all lists, so that they line up.
constexpr int kNameColumns = 26;

void AppendEntry(absl::string_view name, absl::string_view description, std::string& text) {
  bool first = true;
  for (absl::string_view line : absl::StrSplit(description, '\n')) {
    std::string entry = absl::StrCat("  ", first ? name : "");
    entry.resize(kNameColumns, ' ');
    absl::StrAppend(&text, entry, "  ", line, "\n");
    first = false;
  }
}

void AppendOptions(absl::string_view heading, const CLI::App& app, bool positional,
                   std::string& text) {
  bool any = false;
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_positional() != positional) continue;
    if (!any) absl::StrAppend(&text, "\n", heading, ":\n");
    any = true;
    AppendEntry(Spelling(*option), option->get_description(), text);
  }
}

void AppendExamples(const std::vector<std::string>& examples, std::string& text) {
  absl::StrAppend(&text, "\nExamples:\n");
  for (const std::string& example : examples) absl::StrAppend(&text, "  ", example, "\n");
}

}  // namespace

std::string ProgramHelp(const CLI::App& app, const std::vector<CommandWithHelp>& commands) {
  std::string text =
      absl::StrCat(app.get_description(), "\n\nUsage: slipctl COMMAND [ARGUMENTS] [FLAGS]\n");
  absl::string_view group;
  for (const CommandWithHelp& command : commands) {
    if (command.help->group != group) {
      group = command.help->group;
      absl::StrAppend(&text, "\n", group, ":\n");
    }
    AppendEntry(command.app->get_name(), command.help->summary, text);
  }
  AppendOptions("Flags, before or after the command", app, /*positional=*/false, text);
  absl::StrAppend(&text, "\n", kExitCodes);
  AppendExamples({"slipctl put greeting hello", "slipctl root", "slipctl put --help"}, text);
  return text;
}

std::string CommandHelpText(const CommandWithHelp& command, const CLI::App& program) {
  std::string usage = absl::StrCat("slipctl ", command.app->get_name());
  for (const CLI::Option* option : command.app->get_options()) {
    if (!option->get_positional()) continue;
    const std::string& name = option->get_name();
    absl::StrAppend(
        &usage, option->get_required() ? absl::StrCat(" ", name) : absl::StrCat(" [", name, "]"));
  }
  std::string text = absl::StrCat(command.help->summary, "\n\nUsage: ", usage, " [FLAGS]\n");
  if (!command.help->details.empty()) absl::StrAppend(&text, "\n", command.help->details, "\n");
  AppendOptions("Arguments", *command.app, /*positional=*/true, text);
  AppendOptions("Flags", *command.app, /*positional=*/false, text);
  AppendOptions("Flags of all commands", program, /*positional=*/false, text);
  AppendExamples(command.help->examples, text);
  return text;
}

}  // namespace slipstream::cli
