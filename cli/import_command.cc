#include "cli/import_command.h"

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/error_reason.h"
#include "base/status_macros.h"
#include "cli/client.h"
#include "cli/command_line.h"
#include "cli/duration.h"
#include "cli/exit_code.h"
#include "cli/import_reader.h"
#include "cli/input.h"
#include "cli/json.h"
#include "cli/session.h"
#include "cli/text.h"
#include "slipstream/v1/kv.pb.h"

namespace slipstream::cli {
namespace {

// Counts what was sent and what was acknowledged.
struct Progress {
  uint64_t sent_count = 0;
  uint64_t done_count = 0;
  uint64_t sent_bytes = 0;
  absl::Status input_error;
};

absl::Status WithProgress(const absl::Status& status, absl::string_view place,
                          uint64_t done_count) {
  const absl::Status told(
      status.code(), absl::StrCat(place, status.message(), "; ",
                                  FormatCount(done_count, "line", "lines"), " before it done"));
  const std::string reason = base::ReasonOf(status);
  return reason.empty() ? told : base::WithReason(told, reason);
}

// Returns the error of the first operation that failed, with its line.
absl::Status TakeResults(const v1::PipelineResponse& response, Progress& progress) {
  uint64_t line = response.id();
  for (const v1::PipelineResponse::Result& result : response.results()) {
    if (result.code() != 0) {
      absl::Status status(static_cast<absl::StatusCode>(result.code()), Escape(result.message()));
      if (!result.reason().empty()) status = base::WithReason(status, result.reason());
      return WithProgress(status, absl::StrCat("line ", FormatCount(line), ": "),
                          progress.done_count);
    }
    ++progress.done_count;
    ++line;
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ExitCode> ImportCommand::Import(Session& session) const {
  Input input(session.in);
  SLIP_RETURN_IF_ERROR(input.Open(file_));
  SLIP_ASSIGN_OR_RETURN(const std::unique_ptr<Client> client,
                        Client::Connect(session.endpoints, session.timeout));
  const absl::Time begin = absl::Now();
  ImportReader reader(input.stream(), delete_ ? ImportMode::kDelete : ImportMode::kPut);
  Progress progress;
  const auto next = [&](v1::PipelineRequest& group) {
    const absl::StatusOr<bool> more = reader.Next(group);
    // What was read before the error is still brought to an end.
    progress.input_error = more.status();
    progress.sent_count += static_cast<uint64_t>(group.operations_size());
    for (const v1::Operation& operation : group.operations()) {
      progress.sent_bytes += operation.key().size() + operation.value().size();
    }
    return more.ok() && *more;
  };
  SLIP_RETURN_IF_ERROR(client->Pipeline(
      next, [&](const v1::PipelineResponse& response) { return TakeResults(response, progress); }));
  if (progress.done_count != progress.sent_count) {
    return absl::InternalError(absl::StrCat(client->endpoint(), " answered ",
                                            FormatCount(progress.done_count), " of ",
                                            FormatCount(progress.sent_count, "line", "lines")));
  }
  if (!progress.input_error.ok()) {
    return WithProgress(progress.input_error, "", progress.done_count);
  }
  const absl::Duration elapsed = absl::Now() - begin;
  if (session.format == OutputFormat::kJson) {
    Json json;
    json["put"] = delete_ ? 0 : progress.done_count;
    json["deleted"] = delete_ ? progress.done_count : 0;
    json["bytes"] = progress.sent_bytes;
    json["elapsed_ms"] = absl::ToInt64Milliseconds(elapsed);
    session.out << Line(json);
  } else {
    session.out << (delete_ ? "deleted " : "stored ")
                << FormatCount(progress.done_count, "key", "keys") << " ("
                << FormatBytes(progress.sent_bytes) << ") in " << DescribeDuration(elapsed) << "\n";
  }
  return ExitCode::kOk;
}

void ImportCommand::Register(CommandLine& line) {
  CLI::App& import = line.Add(
      {.name = "import",
       .help = {.group = "Keys",
                .summary = "Store or delete many keys",
                .details = "Reads KEY<TAB>VALUE lines, or with --delete a key a line, and sends "
                           "them as a stream. The\nbytes are taken as they are. Stops at the first "
                           "line that fails, and names it.",
                .examples = {"slipctl import users.tsv",
                             "slipctl scan --keys-only --prefix old/ -o raw | "
                             "slipctl import --delete"}}},
      [this](Session& session) { return Import(session); });
  import.add_option("FILE", file_, "What to read; -, as by default: standard input");
  import.add_flag("--delete", delete_, "Delete keys, one a line");
}

}  // namespace slipstream::cli
