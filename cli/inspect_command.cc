#include "cli/inspect_command.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <utility>

#include "CLI/App.hpp"
#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/error_reason.h"
#include "base/status_macros.h"
#include "cli/inspect_directory.h"
#include "cli/inspect_file.h"
#include "cli/inspect_source.h"
#include "cli/json.h"
#include "cli/text.h"
#include "storage/segment.h"

namespace slipstream::cli {

absl::StatusOr<InspectReport> InspectCommand::InspectPath(InspectOptions options) const {
  SLIP_ASSIGN_OR_RETURN(const bool is_directory, IsDirectory(path_));
  if (is_directory) return InspectDirectory(path_);
  SLIP_ASSIGN_OR_RETURN(const std::unique_ptr<InspectSource> source, OpenInspectSource(path_));
  const std::filesystem::path path(path_);
  options.name = path.filename().string();
  if (const auto number = storage::ParseSegmentFileName(options.name); number.has_value()) {
    const std::string directory = path.parent_path().string();
    options.data_end = FindDataEnd(directory.empty() ? "." : directory, *number);
  }
  absl::StatusOr<InspectReport> report = InspectFile(*source, options);
  if (!absl::IsFailedPrecondition(report.status())) return report;
  return base::WithReason(
      absl::FailedPreconditionError(absl::StrCat(Quote(path_), ": ", report.status().message())),
      base::kReasonDirectoryForeign);
}

absl::StatusOr<ExitCode> InspectCommand::Inspect(Session& session) const {
  InspectOptions options{.records = records_};
  const bool given = !limit_text_.empty();
  if (given && (!absl::SimpleAtoi(limit_text_, &options.limit) || options.limit == 0 ||
                options.limit > kInspectLimitMax)) {
    return UsageError(absl::StrCat("--limit: ", Quote(limit_text_), " is not a count from 1 to ",
                                   FormatCount(kInspectLimitMax)));
  }
  SLIP_ASSIGN_OR_RETURN(const InspectReport report, InspectPath(std::move(options)));
  session.out << (session.format == OutputFormat::kJson ? Line(InspectJson(path_, report))
                                                        : InspectText(path_, report));
  if (!report.passes) return ExitCode::kCorrupt;
  return report.complete ? ExitCode::kOk : ExitCode::kError;
}

void InspectCommand::Register(CommandLine& line) {
  CLI::App& inspect = line.Add(
      {.name = "inspect",
       .help = {.group = "Files",
                .summary = "Print a file of a data directory as text, without a server",
                .details =
                    "Knows segments, runs, identity, manifest, index, snapshot and proofs by "
                    "their first\nbytes. Of a directory it prints a line for each file. "
                    "Takes no lock and writes nothing.\nExits with 7 if anything fails its "
                    "checks, with 3 if there is no such file.",
                .examples = {"slipctl inspect /var/lib/slipstream",
                             "slipctl inspect data/0000000000000001.log --records --limit 20",
                             "slipctl inspect data/identity -o json | jq .header.durable_lsn"}}},
      [this](Session& session) { return Inspect(session); });
  inspect.add_option("PATH", path_, "A file, or a data directory")->required();
  inspect.add_flag("--records", records_, "List the records of a segment, the entries of a run");
  inspect
      .add_option("--limit", limit_text_,
                  "Show at most so many of a list, frames aside\n(default 100)")
      ->type_name("COUNT");
}

}  // namespace slipstream::cli
