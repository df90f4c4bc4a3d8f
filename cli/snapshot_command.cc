#include "cli/snapshot_command.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>

#include "CLI/App.hpp"
#include "absl/random/random.h"
#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/digest.h"
#include "base/error_reason.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "cli/client.h"
#include "cli/json.h"
#include "cli/text.h"
#include "node/merkle_entry_hasher.h"
#include "slipstream/v1/admin.pb.h"
#include "storage/posix_file_system.h"
#include "storage/snapshot_file.h"
#include "storage/snapshot_reader.h"
#include "storage/snapshot_restore.h"

namespace slipstream::cli {
namespace {

// A node reads its whole log for a snapshot.
constexpr absl::Duration kSnapshotTimeout = absl::Minutes(10);
constexpr absl::Duration kConnectTimeout = absl::Seconds(2);

// The path as the daemon, which has another working directory, must be told it; "." and a slash at
// the end are taken away, so that its last part is a name.
absl::StatusOr<std::string> AbsolutePath(const std::string& path) {
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(path, error);
  if (path.empty() || error) return UsageError(absl::StrCat(Quote(path), " is no path"));
  std::string normal = absolute.lexically_normal().string();
  while (normal.size() > 1 && normal.back() == '/') normal.pop_back();
  return normal;
}

// UNAVAILABLE stands for a node that cannot be reached; a device of this machine is another matter.
absl::Status OfThisMachine(const absl::Status& status) {
  if (!absl::IsUnavailable(status)) return status;
  return base::WithReason(absl::UnknownError(status.message()), base::ReasonOf(status));
}

std::string Keys(uint64_t count) { return FormatCount(count, "key", "keys"); }

Json SnapshotJson(const std::string& path, absl::string_view root, uint64_t key_count) {
  Json json;
  json["path"] = path;
  json["root"] = std::string(root);
  json["keys"] = key_count;
  return json;
}

}  // namespace

absl::StatusOr<ExitCode> SnapshotCommand::Save(Session& session) const {
  SLIP_ASSIGN_OR_RETURN(const std::string directory, AbsolutePath(path_));
  if (!IsUtf8(directory)) {
    return UsageError(absl::StrCat(Quote(directory), " is not UTF-8, as the protocol wants it"));
  }
  SLIP_ASSIGN_OR_RETURN(
      const std::unique_ptr<Client> client,
      Client::Connect(session.endpoints, std::min(session.timeout, kConnectTimeout)));
  SLIP_ASSIGN_OR_RETURN(const v1::SaveSnapshotResponse saved,
                        client->SaveSnapshot(directory, session.timeout));
  const std::string root = absl::BytesToHexString(saved.root());
  if (session.format == OutputFormat::kJson) {
    session.out << Line(SnapshotJson(saved.path(), root, saved.key_count()));
  } else if (session.format == OutputFormat::kRaw) {
    session.out << saved.path() << "\n";
  } else {
    session.out << (saved.was_there() ? "already there: " : "saved ") << saved.path() << ", "
                << Keys(saved.key_count()) << ", root " << root << "\n";
  }
  return ExitCode::kOk;
}

absl::StatusOr<ExitCode> SnapshotCommand::Verify(Session& session) const {
  SLIP_ASSIGN_OR_RETURN(const std::string path, AbsolutePath(path_));
  storage::PosixFileSystem disk;
  node::MerkleEntryHasher hasher;
  const absl::StatusOr<storage::SnapshotFile> file =
      storage::VerifySnapshot(&disk, path, storage::SnapshotReadOptions{}, hasher);
  if (!file.ok()) return OfThisMachine(file.status());
  const std::string root = base::ToHex(file->header.root);
  if (session.format == OutputFormat::kJson) {
    session.out << Line(SnapshotJson(path, root, file->header.key_count));
  } else if (session.format == OutputFormat::kRaw) {
    session.out << root << "\n";
  } else {
    session.out << "verified " << path << ", " << Keys(file->header.key_count) << ", root " << root
                << "\n";
  }
  return ExitCode::kOk;
}

absl::StatusOr<ExitCode> SnapshotCommand::Restore(Session& session) const {
  if (data_directory_.empty()) return UsageError("say where to restore it to: --data-dir");
  SLIP_ASSIGN_OR_RETURN(const std::string path, AbsolutePath(path_));
  SLIP_ASSIGN_OR_RETURN(const std::string directory, AbsolutePath(data_directory_));
  storage::PosixFileSystem disk;
  node::MerkleEntryHasher hasher;
  absl::BitGen seeds;
  base::Random rng(absl::Uniform<uint64_t>(seeds));
  const absl::StatusOr<storage::RestoredSnapshot> restored =
      storage::RestoreSnapshot(&disk, path, directory, &rng, absl::Now(), hasher);
  if (!restored.ok()) return OfThisMachine(restored.status());
  const storage::SnapshotHeader& header = restored->file.header;
  const std::string root = base::ToHex(header.root);
  const std::string node_id = absl::StrFormat("%016x", restored->node_id);
  if (session.format == OutputFormat::kJson) {
    Json json = SnapshotJson(directory, root, header.key_count);
    json["node_id"] = node_id;
    session.out << Line(json);
  } else if (session.format == OutputFormat::kRaw) {
    session.out << root << "\n";
  } else {
    session.out << "restored " << directory << ", " << Keys(header.key_count) << ", root " << root
                << ", as new node " << node_id << "\n";
  }
  return ExitCode::kOk;
}

absl::StatusOr<ExitCode> SnapshotCommand::Run(Session& session) const {
  if (action_ != "restore" && !data_directory_.empty()) {
    return UsageError("--data-dir goes with restore alone");
  }
  if (action_ == "save") return Save(session);
  if (action_ == "verify") return Verify(session);
  if (action_ == "restore") return Restore(session);
  return UsageError(absl::StrCat(Quote(action_), " is not save, verify or restore"));
}

void SnapshotCommand::Register(CommandLine& line) {
  CLI::App& snapshot = line.Add(
      {.name = "snapshot",
       .help = {.group = "Snapshots",
                .summary = "Save, verify or restore a snapshot of a node's data",
                .details =
                    "save     asks a running node for a snapshot in the directory PATH of its own "
                    "host. It\n"
                    "         becomes PATH/slip-..., named by its root; full segments are hard "
                    "links.\n"
                    "verify   checks the snapshot PATH on this machine, without a server, and "
                    "changes\n"
                    "         nothing. Exits with 7 if anything differs, saying what.\n"
                    "restore  makes the new data directory --data-dir from the snapshot PATH, "
                    "without a\n"
                    "         server, under a new node id. Keys that were deleted since stay "
                    "deleted when\n"
                    "         the new node joins its cluster.",
                .examples = {"slipctl snapshot save /backup",
                             "slipctl snapshot save /backup -o json --endpoint 127.0.0.1:7401",
                             "slipctl snapshot verify /backup/slip-0123456789abcdef",
                             "slipctl snapshot verify \"$(slipctl snapshot save /backup -o raw)\"",
                             "slipctl snapshot restore /backup/slip-0123456789abcdef --data-dir "
                             "/data",
                             "slipctl snapshot restore slip-0123456789abcdef --data-dir new -o "
                             "json"}},
       .timeout = kSnapshotTimeout,
       .has_raw_output = true},
      [this](Session& session) { return Run(session); });
  snapshot.add_option("ACTION", action_, "save, verify or restore")->required();
  snapshot.add_option("PATH", path_, "Where to save it; or the snapshot")->required();
  snapshot
      .add_option("--data-dir", data_directory_,
                  "Where to restore it: a directory that is empty or\nnot there")
      ->type_name("DIRECTORY");
}

}  // namespace slipstream::cli
