#include "storage/snapshot_restore.h"

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/digest.h"
#include "base/key_id.h"
#include "base/status_macros.h"
#include "storage/compression.h"
#include "storage/engine.h"
#include "storage/entry.h"
#include "storage/options.h"
#include "storage/record.h"

namespace slipstream::storage {
namespace {

// Records that are applied together, and bytes after which no more are waited for.
constexpr size_t kBatchRecordsMax = 256;
constexpr size_t kBatchBytes = 1 << 20;
// The engine's own: larger stores spill to runs as they are written.
constexpr uint64_t kMemoryLimitBytes = 1 << 30;

Options OptionsForWriting() {
  Options options;
  // One sync at the end: nothing is told before.
  options.sync = SyncPolicy::kNone;
  options.memory_limit_bytes = kMemoryLimitBytes;
  options.value_cache_bytes = 0;
  return options;
}

absl::StatusOr<Record> RecordOf(const RecordView& view) {
  Record record{.key = std::string(view.key),
                .version = view.version(),
                .sequence = view.header.sequence,
                .expires_at_ms = view.header.expires_at_ms,
                .tombstone = view.header.type == RecordType::kDelete};
  if (!record.tombstone) {
    SLIP_ASSIGN_OR_RETURN(record.value, DecompressValue(view.header, view.value));
  }
  return record;
}

// Hands records to an engine, many at a time.
class Writer {
 public:
  Writer(Engine* engine, absl::Time now) : engine_(*engine), now_(now) {}

  absl::Status Add(const RecordView& view) {
    SLIP_ASSIGN_OR_RETURN(Record record, RecordOf(view));
    bytes_ += record.key.size() + record.value.size();
    records_.push_back(std::move(record));
    const bool full = records_.size() >= kBatchRecordsMax || bytes_ >= kBatchBytes;
    return full ? Finish() : absl::OkStatus();
  }

  absl::Status Finish() {
    SLIP_RETURN_IF_ERROR(engine_.Apply(records_, Atomicity::kEach, now_).status());
    records_.clear();
    bytes_ = 0;
    return absl::OkStatus();
  }

 private:
  Engine& engine_;
  const absl::Time now_;
  std::vector<Record> records_;
  size_t bytes_ = 0;
};

absl::StatusOr<base::Digest> RootOf(Engine& engine, EntryHasher& hasher) {
  SLIP_RETURN_IF_ERROR(
      engine.VisitEntries(base::RangeOf(base::KeyPrefix{}), [&hasher](const Entry& entry) {
        if (!entry.tombstone) hasher.Add(entry);
        return true;
      }));
  return hasher.Finish();
}

// Writes the content of `snapshot` to a new store in `directory`.
absl::Status WriteStore(FileSystem* fs, absl::string_view snapshot, absl::string_view directory,
                        base::Random* rng, absl::Time now, EntryHasher& hasher,
                        RestoredSnapshot& restored) {
  SLIP_ASSIGN_OR_RETURN(const std::unique_ptr<Engine> engine,
                        Engine::Open(fs, directory, OptionsForWriting(), rng, nullptr));
  restored.node_id = engine->node_id();
  restored.actor = engine->actor();
  Writer writer(engine.get(), now);
  SLIP_ASSIGN_OR_RETURN(
      const SnapshotContent content,
      ReadSnapshot(fs, snapshot, SnapshotReadOptions{}, hasher,
                   [&writer](const RecordView& view) { return writer.Add(view); }));
  SLIP_RETURN_IF_ERROR(writer.Finish());
  SLIP_RETURN_IF_ERROR(CheckSnapshotContent(snapshot, restored.file, content));
  SLIP_ASSIGN_OR_RETURN(const base::Digest root, RootOf(*engine, hasher));
  if (root != content.root) {
    return absl::InternalError(absl::StrCat("the root of what was restored is ", base::ToHex(root),
                                            ", not ", base::ToHex(content.root)));
  }
  return engine->Close();
}

// Removes the flat directory `path`, as far as that is possible.
void TryToRemove(FileSystem* fs, const std::string& path) {
  const absl::StatusOr<std::vector<std::string>> names = fs->ListDirectory(path);
  if (!names.ok()) return;
  for (const std::string& name : *names) fs->Remove(JoinPath(path, name)).IgnoreError();
  fs->RemoveDirectory(path).IgnoreError();
}

absl::Status CheckIsFree(FileSystem* fs, absl::string_view directory) {
  const absl::StatusOr<std::vector<std::string>> names = fs->ListDirectory(directory);
  if (absl::IsNotFound(names.status())) return absl::OkStatus();
  SLIP_RETURN_IF_ERROR(names.status());
  if (names->empty()) return absl::OkStatus();
  return absl::AlreadyExistsError(
      absl::StrCat(directory, " is not empty: it holds ", names->front()));
}

}  // namespace

absl::StatusOr<RestoredSnapshot> RestoreSnapshot(FileSystem* fs, absl::string_view snapshot,
                                                 absl::string_view directory, base::Random* rng,
                                                 absl::Time now, EntryHasher& hasher) {
  RestoredSnapshot restored;
  SLIP_ASSIGN_OR_RETURN(restored.file, CheckSnapshotFiles(fs, snapshot));
  SLIP_RETURN_IF_ERROR(CheckIsFree(fs, directory));
  const std::string partial_path = absl::StrCat(directory, kSnapshotPartialSuffix);
  // Left by a crash, it may hold what somebody still wants to look at.
  SLIP_RETURN_IF_ERROR(CheckIsFree(fs, partial_path));
  absl::Status status = WriteStore(fs, snapshot, partial_path, rng, now, hasher, restored);
  if (status.ok()) status = fs->RenameDirectory(partial_path, directory);
  if (status.ok()) return restored;
  TryToRemove(fs, partial_path);
  return status;
}

}  // namespace slipstream::storage
