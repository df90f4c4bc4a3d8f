#include "cli/key_commands.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "base/version.h"
#include "cli/client.h"
#include "cli/command_line.h"
#include "cli/duration.h"
#include "cli/exit_code.h"
#include "cli/input.h"
#include "cli/json.h"
#include "cli/session.h"
#include "cli/text.h"
#include "google/protobuf/duration.pb.h"
#include "slipstream/v1/kv.pb.h"

namespace slipstream::cli {
namespace {

// No node takes a longer value.
constexpr size_t kValueBytesMax = 8 << 20;

std::string VersionText(const v1::Version& version) {
  return base::ToString(
      base::Version{.hlc = version.hlc(), .actor = base::ActorId{version.actor()}});
}

void SetTtl(absl::Duration ttl, google::protobuf::Duration& message) {
  message.set_seconds(absl::IDivDuration(ttl, absl::Seconds(1), &ttl));
  message.set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(ttl)));
}

// What never expires does not say so.
void AddExpiry(uint64_t expires_at_ms, Json& json) {
  if (expires_at_ms != 0) json["expires_at_ms"] = expires_at_ms;
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

// Sends `operation` with the preconditions that `request` holds; returns the version it was given.
absl::StatusOr<v1::Version> TransactOne(v1::TransactRequest request, v1::Operation operation,
                                        Client& client) {
  *request.add_operations() = std::move(operation);
  SLIP_ASSIGN_OR_RETURN(const v1::TransactResponse response, client.Transact(request));
  if (response.versions_size() != 1) {
    return absl::InternalError(
        absl::StrCat(client.endpoint(), " answered one write with ", response.versions_size()));
  }
  return response.versions(0);
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

void AddIfVersion(CLI::App& command, std::string& if_version) {
  command.add_option("--if-version", if_version, "Only if the key's last write has this version")
      ->type_name("VERSION");
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
      AddExpiry(item.expires_at_ms(), json);
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
  v1::PutRequest request;
  request.set_key(key_);
  if (!ttl_text_.empty()) {
    const absl::StatusOr<absl::Duration> ttl = ParseDuration(ttl_text_);
    if (!ttl.ok()) return UsageError(absl::StrCat("--ttl: ", ttl.status().message()));
    SetTtl(*ttl, *request.mutable_ttl());
  }
  v1::TransactRequest conditional;
  SLIP_ASSIGN_OR_RETURN(const bool is_conditional, AddPrecondition(conditional));
  SLIP_ASSIGN_OR_RETURN(*request.mutable_value(), ReadValue(session));
  SLIP_ASSIGN_OR_RETURN(const std::unique_ptr<Client> client,
                        Client::Connect(session.endpoints, session.timeout));
  if (is_conditional) {
    v1::Operation put;
    put.set_kind(v1::OPERATION_KIND_PUT);
    put.set_key(key_);
    put.set_value(std::move(*request.mutable_value()));
    if (request.has_ttl()) *put.mutable_ttl() = request.ttl();
    SLIP_ASSIGN_OR_RETURN(const v1::Version version,
                          TransactOne(std::move(conditional), std::move(put), *client));
    PrintVersion("stored", version, session);
    return ExitCode::kOk;
  }
  SLIP_ASSIGN_OR_RETURN(const v1::PutResponse response, client->Put(request));
  PrintVersion("stored", response.version(), session);
  return ExitCode::kOk;
}

absl::StatusOr<bool> KeyCommands::AddPrecondition(v1::TransactRequest& request) const {
  if (if_absent_ && !if_version_.empty()) {
    return UsageError("give either --if-absent or --if-version");
  }
  if (!if_absent_ && if_version_.empty()) return false;
  v1::Precondition& precondition = *request.add_preconditions();
  precondition.set_key(key_);
  if (if_absent_) {
    precondition.set_present(false);
    return true;
  }
  const absl::StatusOr<base::Version> version = base::ParseVersion(if_version_);
  if (!version.ok()) {
    return UsageError(absl::StrCat("--if-version: ", Quote(if_version_),
                                   " is no version, <16 hex digits>-<16 hex digits>"));
  }
  precondition.mutable_version()->set_hlc(version->hlc);
  precondition.mutable_version()->set_actor(static_cast<uint64_t>(version->actor));
  return true;
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
      AddExpiry(response->expires_at_ms(), json);
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
  v1::TransactRequest conditional;
  SLIP_ASSIGN_OR_RETURN(const bool is_conditional, AddPrecondition(conditional));
  SLIP_ASSIGN_OR_RETURN(const std::unique_ptr<Client> client,
                        Client::Connect(session.endpoints, session.timeout));
  if (is_conditional) {
    v1::Operation remove;
    remove.set_kind(v1::OPERATION_KIND_DELETE);
    remove.set_key(key_);
    SLIP_ASSIGN_OR_RETURN(const v1::Version version,
                          TransactOne(std::move(conditional), std::move(remove), *client));
    PrintVersion("deleted", version, session);
    return ExitCode::kOk;
  }
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
                         .details = "Prints the version that the write was given. Exits with 6 if "
                                    "--if-absent or\n--if-version does not hold. With --ttl the "
                                    "key is gone after that time, up to 8760h,\nby the clock of "
                                    "the node that takes the write.",
                         .examples = {"slipctl put greeting hello",
                                      "slipctl put lock \"$HOSTNAME\" --if-absent",
                                      "slipctl put session/7 token --ttl 10m",
                                      "gzip -c notes.txt | slipctl put notes --value-file -"}},
                .has_raw_output = true},
               [this](Session& session) { return Put(session); });
  put.add_option("KEY", key_, "The key, 1 to 4,096 bytes")->required();
  value_option_ = put.add_option("VALUE", value_, "The value; may be empty");
  value_file_option_ =
      put.add_option("--value-file", value_file_, "Take the value from a file; -: standard input")
          ->type_name("FILE");
  put.add_flag("--if-absent", if_absent_, "Only if the key is not there");
  AddIfVersion(put, if_version_);
  put.add_option("--ttl", ttl_text_, "How long the key is there, as 500ms, 10m or 24h")
      ->type_name("DURATION");
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
                .details = "Prints the version that the delete was given. Exits with 6 if "
                           "--if-version does not hold.",
                .examples = {"slipctl delete greeting", "slipctl delete -o json greeting"}},
       .has_raw_output = true},
      [this](Session& session) { return Delete(session); });
  remove.add_option("KEY", key_, "The key")->required();
  AddIfVersion(remove, if_version_);
  RegisterScan(line);
}

}  // namespace slipstream::cli
