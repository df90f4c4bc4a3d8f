#include "cli/proof_commands.h"

#include <algorithm>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/digest.h"
#include "base/key_id.h"
#include "base/status_macros.h"
#include "base/version.h"
#include "cli/client.h"
#include "cli/command_line.h"
#include "cli/exit_code.h"
#include "cli/input.h"
#include "cli/json.h"
#include "cli/proof_file.h"
#include "cli/session.h"
#include "cli/text.h"
#include "merkle/leaf.h"
#include "merkle/proof.h"
#include "slipstream/v1/admin.pb.h"

namespace slipstream::cli {
namespace {

// Copies `from` into a digest or id if it has the right length.
template <typename T>
absl::Status CopyBytes(absl::string_view from, absl::string_view name, T& to) {
  if (from.size() != to.bytes.size()) {
    return absl::DataLossError(absl::StrCat("the node's proof is malformed: ", name, " of ",
                                            from.size(), " bytes, not ", to.bytes.size()));
  }
  std::copy(from.begin(), from.end(), to.bytes.begin());
  return absl::OkStatus();
}

absl::StatusOr<merkle::Proof> ProofOf(const v1::ProveResponse& response) {
  merkle::Proof proof;
  for (const std::string& sibling : response.siblings()) {
    base::Digest digest;
    if (!sibling.empty()) SLIP_RETURN_IF_ERROR(CopyBytes(sibling, "a sibling", digest));
    proof.siblings.push_back(digest);
  }
  if (response.has_end()) {
    const v1::ProveResponse::Leaf& end = response.end();
    merkle::Leaf leaf;
    SLIP_RETURN_IF_ERROR(CopyBytes(end.key_id(), "a key_id", leaf.key_id));
    SLIP_RETURN_IF_ERROR(CopyBytes(end.value_digest(), "a value digest", leaf.value_digest));
    leaf.version = {.hlc = end.version().hlc(), .actor = base::ActorId{end.version().actor()}};
    leaf.expires_at_ms = end.expires_at_ms();
    proof.end = leaf;
  }
  return proof;
}

absl::string_view WordFor(merkle::Presence presence) {
  return presence == merkle::Presence::kPresent ? "present" : "absent";
}

std::string DescribeExpiry(uint64_t expires_at_ms) {
  if (expires_at_ms == 0) return "never";
  // Beyond what calendars hold, the number says more.
  if (expires_at_ms > uint64_t{1} << 48) return absl::StrCat(expires_at_ms, " ms");
  return absl::FormatTime("%Y-%m-%d %H:%M:%S UTC",
                          absl::FromUnixMillis(static_cast<int64_t>(expires_at_ms)),
                          absl::UTCTimeZone());
}

void PrintProven(const ProofFile& file, const base::Digest& root, Session& session) {
  session.out << "proven: key " << Quote(file.key) << " is " << WordFor(file.presence) << "\n"
              << "  root          " << base::ToHex(root) << "\n";
  if (file.presence == merkle::Presence::kAbsent) return;
  const merkle::Leaf& leaf = *file.proof.end;
  session.out << "  version       " << base::ToString(leaf.version) << "\n"
              << "  value digest  " << absl::BytesToHexString(leaf.value_digest.view()) << "\n"
              << "  expires       " << DescribeExpiry(leaf.expires_at_ms) << "\n";
}

Json ProvenJson(const ProofFile& file, const base::Digest& root) {
  Json json;
  json["proven"] = true;
  json["presence"] = std::string(WordFor(file.presence));
  AddKey(file.key, json);
  json["root"] = base::ToHex(root);
  if (file.presence == merkle::Presence::kPresent) {
    const merkle::Leaf& leaf = *file.proof.end;
    json["version"] = base::ToString(leaf.version);
    json["value_digest"] = absl::BytesToHexString(leaf.value_digest.view());
    json["expires_at_ms"] = leaf.expires_at_ms;
  }
  return json;
}

// DATA_LOSS, saying why, unless `file` proves against `root` what it says.
absl::Status CheckFile(const ProofFile& file, const base::Digest& root) {
  const absl::StatusOr<merkle::Presence> presence =
      merkle::VerifyProof(file.proof, base::KeyIdOf(file.key), root);
  if (!presence.ok()) {
    const bool other_root = file.root != root;
    return absl::DataLossError(absl::StrCat(
        "not proven: ", presence.status().message(),
        other_root ? absl::StrCat("\nhint: the file was made for root ", base::ToHex(file.root))
                   : ""));
  }
  if (*presence != file.presence) {
    return absl::DataLossError(absl::StrCat("not proven: the file says ", WordFor(file.presence),
                                            ", its proof ", WordFor(*presence)));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ExitCode> ProofCommands::Prove(Session& session) const {
  SLIP_ASSIGN_OR_RETURN(const std::unique_ptr<Client> client,
                        Client::Connect(session.endpoints, session.timeout));
  SLIP_ASSIGN_OR_RETURN(const v1::ProveResponse response, client->Prove(key_));
  ProofFile file{.key = key_};
  SLIP_RETURN_IF_ERROR(CopyBytes(response.root(), "a root", file.root));
  SLIP_ASSIGN_OR_RETURN(file.proof, ProofOf(response));
  // The node is not believed: a proof that would fail later is refused now.
  SLIP_ASSIGN_OR_RETURN(file.presence,
                        merkle::VerifyProof(file.proof, base::KeyIdOf(key_), file.root));
  session.out << FormatProofFile(file);
  if (session.format == OutputFormat::kTable) {
    session.error << "key " << Quote(key_) << " is " << WordFor(file.presence) << " under root "
                  << base::ToHex(file.root) << "\n";
  }
  return ExitCode::kOk;
}

absl::StatusOr<ExitCode> ProofCommands::Verify(Session& session) const {
  base::Digest root;
  if (!base::FromHex(root_text_, root)) {
    return UsageError(absl::StrCat("--root: ", Quote(root_text_),
                                   " is not 64 hexadecimal digits; slipctl root shows them"));
  }
  Input input(session.in);
  SLIP_RETURN_IF_ERROR(input.Open(file_));
  SLIP_ASSIGN_OR_RETURN(const std::string text, input.ReadAll(file_, kProofFileBytesMax));
  SLIP_ASSIGN_OR_RETURN(const ProofFile file, ParseProofFile(text));
  SLIP_RETURN_IF_ERROR(CheckFile(file, root));
  if (session.format == OutputFormat::kJson) {
    session.out << Line(ProvenJson(file, root));
  } else {
    PrintProven(file, root, session);
  }
  return ExitCode::kOk;
}

void ProofCommands::Register(CommandLine& line) {
  CLI::App& prove =
      line.Add({.name = "prove",
                .help = {.group = "Proofs",
                         .summary = "Write a proof that a key is there, or not",
                         .details = "Prints the proof as JSON; its format is in docs/merkle.md.",
                         .examples = {"slipctl prove greeting > proof.json",
                                      "slipctl prove nobody -o json | jq .presence"}},
                .has_raw_output = true},
               [this](Session& session) { return Prove(session); });
  prove.add_option("KEY", key_, "The key, there or not")->required();
  CLI::App& verify =
      line.Add({.name = "verify",
                .help = {.group = "Proofs",
                         .summary = "Check a proof against a root, without a server",
                         .details = "Exits with 7 if the file proves nothing against the root.",
                         .examples = {"slipctl verify proof.json --root \"$(slipctl root -o raw)\"",
                                      "slipctl prove greeting | slipctl verify - --root HASH"}}},
               [this](Session& session) { return Verify(session); });
  verify.add_option("FILE", file_, "The proof; -: standard input")->required();
  verify.add_option("--root", root_text_, "The root that you trust")->type_name("HASH")->required();
}

}  // namespace slipstream::cli
