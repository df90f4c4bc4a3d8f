#include "node/snapshot_saver.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <system_error>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/error_reason.h"
#include "base/status_macros.h"
#include "node/merkle_entry_hasher.h"
#include "storage/snapshot_reader.h"
#include "storage/snapshot_source.h"

namespace slipstream::node {
namespace {

constexpr uint64_t kMemoryLimitDivisor = 16;
// With less, a large log would be read too often.
constexpr uint64_t kEntryBytesMin = 8 << 20;

absl::Status RefusePath(absl::string_view directory, absl::string_view why) {
  return base::WithReason(absl::InvalidArgumentError(
                              absl::StrCat("\"", absl::Utf8SafeCHexEscape(directory), "\" ", why)),
                          base::kReasonSnapshotPath);
}

// Returns `path` as far as the file system knows it, symbolic links resolved, the rest as it is.
std::filesystem::path Resolve(absl::string_view path) {
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(std::string(path), error);
  std::filesystem::path resolved = std::filesystem::weakly_canonical(absolute, error);
  if (error) resolved = absolute.lexically_normal();
  // "/a/" has an empty last part, which "/a" has not.
  return resolved.has_filename() ? resolved : resolved.parent_path();
}

bool IsWithin(const std::filesystem::path& inner, const std::filesystem::path& outer) {
  return std::mismatch(outer.begin(), outer.end(), inner.begin(), inner.end()).first == outer.end();
}

// What a save may take for entries, on top of the node's memory limit; 0: there is none.
uint64_t EntryBytesMax(uint64_t memory_limit_bytes) {
  const uint64_t most = storage::SnapshotReadOptions{}.entry_bytes_max;
  if (memory_limit_bytes == 0) return most;
  return std::clamp(memory_limit_bytes / kMemoryLimitDivisor, kEntryBytesMin, most);
}

// Says that nothing is being saved, at the end.
class BusyMark {
 public:
  explicit BusyMark(std::atomic<bool>& mark) : mark_(mark) {}
  ~BusyMark() { mark_ = false; }
  BusyMark(const BusyMark&) = delete;
  BusyMark& operator=(const BusyMark&) = delete;

 private:
  std::atomic<bool>& mark_;
};

}  // namespace

absl::StatusOr<storage::SavedSnapshot> SnapshotSaver::Save(absl::string_view directory,
                                                           absl::Time now) {
  if (!absl::StartsWith(directory, "/")) return RefusePath(directory, "is no absolute path");
  // The system would take it for the end of the path.
  if (absl::StrContains(directory, '\0')) return RefusePath(directory, "has a byte 0 in it");
  if (IsWithin(Resolve(directory), Resolve(data_directory_))) {
    return RefusePath(directory, "is in the data directory: a snapshot must be elsewhere");
  }
  if (is_busy_.exchange(true)) {
    return base::WithReason(absl::FailedPreconditionError("another snapshot is being saved"),
                            base::kReasonSnapshotBusy);
  }
  const BusyMark mark(is_busy_);
  SLIP_ASSIGN_OR_RETURN(const storage::SnapshotSource source, replica_->engine().PinSnapshot());
  MerkleEntryHasher hasher;
  return storage::SaveSnapshot(
      fs_, source, directory,
      {.node_name = replica_->options().name,
       .now = now,
       .read = {.entry_bytes_max = EntryBytesMax(replica_->options().storage.memory_limit_bytes)}},
      hasher);
}

}  // namespace slipstream::node
