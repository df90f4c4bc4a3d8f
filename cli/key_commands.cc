#include "cli/key_commands.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "base/version.h"
#include "cli/client.h"
#include "cli/command_line.h"
#include "cli/exit_code.h"
#include "cli/input.h"
#include "cli/json.h"
#include "cli/session.h"
#include "cli/text.h"
#include "slipstream/v1/kv.pb.h"

namespace slipstream::cli {
namespace {

// No node takes a longer value.
constexpr size_t kValueBytesMax = 8 << 20;

std::string VersionText(const v1::Version& version) {
  return base::ToString(
      base::Version{.hlc = version.hlc(), .actor = base::ActorId{version.actor()}});
}

// Tells the version that a write was given, as the whole answer.
void PrintVersion(absl::string_view verb, const v1::Version& version, Session& session) {
  const std::string text = VersionText(version);
  switch (session.format) {
    case OutputFormat::kTable:
      session.out << verb << ", version " << text << "\n";
      break;
    case OutputFormat::kJson:
      session.out << Line(Json{{"version", text}});
      break;
    case OutputFormat::kRaw:
      session.out << text << "\n";
      break;
  }
}

absl::StatusOr<ExitCode> ReportMissing(absl::string_view key, Session& session) {
  if (session.format != OutputFormat::kJson) {
    return absl::NotFoundError(absl::StrCat("key ", Quote(key), " not found"));
  }
  Json json;
  json["found"] = false;
  AddKey(key, json);
  session.out << Line(json);
  return ExitCode::kNotFound;
}

void PrintItem(const v1::ScanResponse::Item& item, bool keys_only, Session& session) {
  switch (session.format) {
    case OutputFormat::kTable:
      session.out << Escape(item.key());
      if (!keys_only) session.out << '\t' << Escape(item.value());
      session.out << '\n';
      break;
    case OutputFormat::kJson: {
      Json json;
      AddKey(item.key(), json);
      if (!keys_only) AddValue(item.value(), json);
      json["version"] = VersionText(item.version());
      session.out << Line(json);
      break;
    }
    case OutputFormat::kRaw:
      session.out << item.key();
      if (!keys_only) session.out << '\t' << item.value();
      session.out << '\n';
      break;
  }
}

}  // namespace

absl::StatusOr<std::string> KeyCommands::ReadValue(Session& session) const {
  if (value_file_option_->count() == 0) return value_;
  Input input(session.in);
  SLIP_RETURN_IF_ERROR(input.Open(value_file_));
  return input.ReadAll(value_file_, kValueBytesMax);
}

absl::StatusOr<ExitCode> KeyCommands::Put(Session& session) const {
  if ((value_option_->count() == 0) == (value_file_option_->count() == 0)) {
    return UsageError("give either VALUE or --value-file");
  }
  SLIP_ASSIGN_OR_RETURN(const std::string value, ReadValue(session));
  SLIP_ASSIGN_OR_RETURN(const std::unique_ptr<Client> client,
                        Client::Connect(session.endpoints, session.timeout));
  SLIP_ASSIGN_OR_RETURN(const v1::PutResponse response, client->Put(key_, value));
  PrintVersion("stored", response.version(), session);
  return ExitCode::kOk;
}

absl::StatusOr<ExitCode> KeyCommands::Get(Session& session) const {
  SLIP_ASSIGN_OR_RETURN(const std::unique_ptr<Client> client,
                        Client::Connect(session.endpoints, session.timeout));
  const absl::StatusOr<v1::GetResponse> response = client->Get(key_);
  if (absl::IsNotFound(response.status())) return ReportMissing(key_, session);
  SLIP_RETURN_IF_ERROR(response.status());
  switch (session.format) {
    case OutputFormat::kTable:
      session.out << response->value() << "\n";
      break;
    case OutputFormat::kJson: {
      Json json;
      json["found"] = true;
      AddKey(key_, json);
      AddValue(response->value(), json);
      json["version"] = VersionText(response->version());
      session.out << Line(json);
      break;
    }
    case OutputFormat::kRaw:
      session.out << response->value();
      break;
  }
  return ExitCode::kOk;
}

absl::StatusOr<ExitCode> KeyCommands::Delete(Session& session) const {
  SLIP_ASSIGN_OR_RETURN(const std::unique_ptr<Client> client,
                        Client::Connect(session.endpoints, session.timeout));
  SLIP_ASSIGN_OR_RETURN(const v1::DeleteResponse response, client->Delete(key_));
  PrintVersion("deleted", response.version(), session);
  return ExitCode::kOk;
}

absl::StatusOr<ExitCode> KeyCommands::Scan(Session& session) const {
  uint32_t limit = 0;
  if (!limit_text_.empty() && (!absl::SimpleAtoi(limit_text_, &limit) || limit == 0)) {
    return UsageError(absl::StrCat("--limit: ", Quote(limit_text_), " is not a count from 1"));
  }
  SLIP_ASSIGN_OR_RETURN(const std::unique_ptr<Client> client,
                        Client::Connect(session.endpoints, session.timeout));
  v1::ScanRequest request;
  request.set_prefix(prefix_);
  request.set_keys_only(keys_only_);
  request.set_page_size(limit);
  SLIP_RETURN_IF_ERROR(client->Scan(request, [&](const v1::ScanResponse::Item& item) {
    PrintItem(item, keys_only_, session);
    if (!session.out) return absl::UnknownError("cannot write to standard output");
    return absl::OkStatus();
  }));
  return ExitCode::kOk;
}

void KeyCommands::RegisterPut(CommandLine& line) {
  CLI::App& put =
      line.Add({.name = "put",
                .help = {.group = "Keys",
                         .summary = "Store a value",
                         .details = "Prints the version that the write was given.",
                         .examples = {"slipctl put greeting hello",
                                      "gzip -c notes.txt | slipctl put notes --value-file -"}},
                .has_raw_output = true},
               [this](Session& session) { return Put(session); });
  put.add_option("KEY", key_, "The key, 1 to 4,096 bytes")->required();
  value_option_ = put.add_option("VALUE", value_, "The value; may be empty");
  value_file_option_ =
      put.add_option("--value-file", value_file_, "Take the value from a file; -: standard input")
          ->type_name("FILE");
}

void KeyCommands::RegisterScan(CommandLine& line) {
  CLI::App& scan = line.Add(
      {.name = "scan",
       .help = {.group = "Keys",
                .summary = "List keys and values",
                .details = "Prints KEY<TAB>VALUE lines in the order of SHA-256(key); what is not "
                           "printable is escaped.\n-o json prints an object a line, -o raw the "
                           "bytes as they are (import reads them back).\n--timeout is the longest "
                           "silence, not the whole time.",
                .examples = {"slipctl scan --prefix user/ --limit 10",
                             "slipctl scan --keys-only | wc -l"}},
       .has_raw_output = true},
      [this](Session& session) { return Scan(session); });
  scan.add_option("--prefix", prefix_, "Only keys that begin so")->type_name("PREFIX");
  scan.add_flag("--keys-only", keys_only_, "Leave the values out");
  scan.add_option("--limit", limit_text_, "At most so many")->type_name("COUNT");
}

void KeyCommands::Register(CommandLine& line) {
  RegisterPut(line);
  CLI::App& get = line.Add(
      {.name = "get",
       .help = {.group = "Keys",
                .summary = "Print the value of a key",
                .details = "Prints the value and a newline; -o raw exactly the value's bytes. "
                           "Exits with 3 if the key\nis not there.",
                .examples = {"slipctl get greeting", "slipctl get notes -o raw | gunzip"}},
       .has_raw_output = true},
      [this](Session& session) { return Get(session); });
  get.add_option("KEY", key_, "The key")->required();
  CLI::App& remove = line.Add(
      {.name = "delete",
       .help = {.group = "Keys",
                .summary = "Delete a key, whether or not it is there",
                .details = "Prints the version that the delete was given.",
                .examples = {"slipctl delete greeting", "slipctl delete -o json greeting"}},
       .has_raw_output = true},
      [this](Session& session) { return Delete(session); });
  remove.add_option("KEY", key_, "The key")->required();
  RegisterScan(line);
}

}  // namespace slipstream::cli
