#include "storage/snapshot.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/types/optional.h"
#include "base/digest.h"
#include "base/error_reason.h"
#include "base/status_macros.h"
#include "storage/aligned_buffer.h"
#include "storage/identity.h"
#include "storage/log_segment.h"
#include "storage/manifest.h"
#include "storage/options.h"
#include "storage/segment.h"

namespace slipstream::storage {
namespace {

constexpr size_t kCopyBytes = 1 << 20;

// The snapshot's identity. Whoever opens the files as they are becomes a new actor, as after a
// crash of a life that forgets: the node itself goes on giving versions and dots.
Identity IdentityFor(const SnapshotSource& source) {
  Identity identity = source.identity;
  identity.durable_lsn = source.log.last_lsn;
  identity.last_hlc = source.last_hlc;
  identity.flags = 0;
  identity.sync_policy = SyncPolicy::kNone;
  return identity;
}

// Removes the unfinished snapshot in `path`, if there is one.
absl::Status Clear(FileSystem* fs, const std::string& path) {
  const absl::StatusOr<std::vector<std::string>> names = fs->ListDirectory(path);
  if (absl::IsNotFound(names.status())) return absl::OkStatus();
  SLIP_RETURN_IF_ERROR(names.status());
  for (const std::string& name : *names) SLIP_RETURN_IF_ERROR(fs->Remove(JoinPath(path, name)));
  return fs->RemoveDirectory(path);
}

absl::Status CopySegment(FileSystem* fs, const CutSegment& segment, const std::string& path) {
  SLIP_ASSIGN_OR_RETURN(const std::unique_ptr<File> copy, fs->Open(path, OpenMode::kCreate));
  AlignedBuffer buffer(kCopyBytes);
  for (uint64_t offset = 0; offset < segment.end_offset;) {
    const uint64_t count = std::min<uint64_t>(kCopyBytes, segment.end_offset - offset);
    SLIP_RETURN_IF_ERROR(segment.file->Read(offset, count, buffer.data()));
    SLIP_RETURN_IF_ERROR(copy->Write(offset, {buffer.data(), count}));
    offset += count;
  }
  if (segment.end_offset < segment.bytes) {
    // The rest is zero, and no more than its last page need be written for that.
    const std::string page(kPageBytes, '\0');
    SLIP_RETURN_IF_ERROR(copy->Write(segment.bytes - kPageBytes, page));
  }
  return copy->SyncData();
}

absl::Status TakeSegment(FileSystem* fs, const std::string& directory, const CutSegment& segment,
                         const std::string& path) {
  if (!segment.is_open) {
    const std::string from = JoinPath(directory, SegmentFileName(segment.number));
    absl::Status linked = fs->Link(from, path);
    // Dropped since, or on another file system: there is the open file.
    if (!absl::IsNotFound(linked) && !absl::IsFailedPrecondition(linked)) return linked;
  }
  return CopySegment(fs, segment, path);
}

bool Drops(const absl::optional<Manifest>& manifest, uint64_t segment_number) {
  if (!manifest.has_value()) return false;
  return std::any_of(manifest->gaps.begin(), manifest->gaps.end(),
                     [segment_number](const SegmentGap& gap) { return gap.Holds(segment_number); });
}

// Writes all files but the one that says what they are.
absl::Status WriteFiles(FileSystem* fs, const SnapshotSource& source, const std::string& path) {
  SLIP_RETURN_IF_ERROR(WriteIdentity(fs, path, IdentityFor(source)));
  if (source.manifest.has_value()) {
    SLIP_RETURN_IF_ERROR(WriteManifest(fs, path, *source.manifest));
  }
  for (const CutSegment& segment : source.log.segments) {
    // On a full disk the manifest may be ahead of the log: recovery removes such a segment.
    if (Drops(source.manifest, segment.number)) continue;
    SLIP_RETURN_IF_ERROR(TakeSegment(fs, source.directory, segment,
                                     JoinPath(path, SegmentFileName(segment.number))));
  }
  return fs->SyncDirectory(path);
}

absl::StatusOr<std::vector<SnapshotMember>> ListMembers(FileSystem* fs, const std::string& path) {
  std::vector<SnapshotMember> members;
  SLIP_ASSIGN_OR_RETURN(const std::vector<std::string> names, fs->ListDirectory(path));
  for (const std::string& name : names) {
    SLIP_ASSIGN_OR_RETURN(const std::unique_ptr<File> file,
                          fs->Open(JoinPath(path, name), OpenMode::kRead));
    SLIP_ASSIGN_OR_RETURN(const uint64_t bytes, file->Size());
    members.push_back(MakeSnapshotMember(name, bytes));
  }
  return members;
}

absl::StatusOr<SnapshotFile> Describe(const SnapshotSource& source, const SnapshotOptions& options,
                                      const SnapshotContent& content) {
  if (content.lost_record_count != source.lost_record_count ||
      content.last_lsn != source.log.last_lsn) {
    return base::WithReason(
        absl::DataLossError(absl::StrFormat(
            "no snapshot was made: the log has damage that was not there when the node was "
            "started, which cost %d records: %s",
            content.lost_record_count -
                std::min(content.lost_record_count, source.lost_record_count),
            content.damage)),
        base::kReasonSnapshotDamaged);
  }
  SnapshotFile file{
      .header = {.root = content.root,
                 .node_id = source.identity.node_id,
                 .actor = source.identity.actor,
                 .key_count = content.key_count,
                 .tombstone_count = content.tombstone_count,
                 .last_hlc = source.last_hlc,
                 .last_lsn = content.last_lsn,
                 .created_at_ms = static_cast<uint64_t>(absl::ToUnixMillis(options.now)),
                 .damaged_count = content.damaged_count,
                 .lost_record_count = content.lost_record_count},
      .node_name = options.node_name};
  return file;
}

// Gives the snapshot in `partial_path` its name, unless one with its root is there.
absl::StatusOr<SavedSnapshot> Finish(FileSystem* fs, absl::string_view directory,
                                     const std::string& partial_path, SnapshotFile file) {
  SavedSnapshot saved{.path = JoinPath(directory, SnapshotDirectoryName(file.header.root))};
  const absl::Status listed = fs->ListDirectory(saved.path).status();
  if (absl::IsNotFound(listed)) {
    SLIP_RETURN_IF_ERROR(WriteSnapshotFile(fs, partial_path, file));
    SLIP_RETURN_IF_ERROR(fs->SyncDirectory(partial_path));
    SLIP_RETURN_IF_ERROR(fs->RenameDirectory(partial_path, saved.path));
    saved.file = std::move(file);
    return saved;
  }
  SLIP_RETURN_IF_ERROR(listed);
  absl::StatusOr<SnapshotFile> there = ReadSnapshotFile(fs, saved.path);
  if (!there.ok() || there->header.root != file.header.root) {
    return absl::AlreadyExistsError(
        absl::StrCat(saved.path, " exists and is another: ",
                     there.ok() ? absl::StrCat("its root is ", base::ToHex(there->header.root))
                                : std::string(there.status().message())));
  }
  saved.file = *std::move(there);
  saved.was_there = true;
  SLIP_RETURN_IF_ERROR(Clear(fs, partial_path));
  return saved;
}

absl::StatusOr<SavedSnapshot> Save(FileSystem* fs, const SnapshotSource& source,
                                   absl::string_view directory, const std::string& partial_path,
                                   const SnapshotOptions& options, EntryHasher& hasher) {
  SLIP_RETURN_IF_ERROR(fs->CreateDirectory(partial_path));
  SLIP_RETURN_IF_ERROR(WriteFiles(fs, source, partial_path));
  SLIP_ASSIGN_OR_RETURN(const SnapshotContent content,
                        ReadSnapshot(fs, partial_path, options.read, hasher));
  SLIP_ASSIGN_OR_RETURN(SnapshotFile file, Describe(source, options, content));
  SLIP_ASSIGN_OR_RETURN(file.members, ListMembers(fs, partial_path));
  return Finish(fs, directory, partial_path, std::move(file));
}

}  // namespace

absl::StatusOr<SavedSnapshot> SaveSnapshot(FileSystem* fs, const SnapshotSource& source,
                                           absl::string_view directory,
                                           const SnapshotOptions& options, EntryHasher& hasher) {
  SLIP_RETURN_IF_ERROR(fs->CreateDirectory(directory));
  // The root is not known yet; this is unique, as a node saves one at a time.
  const std::string partial_path =
      JoinPath(directory, absl::StrFormat("slip-%016x-%d%s", source.identity.node_id,
                                          source.log.last_lsn, kSnapshotPartialSuffix));
  SLIP_RETURN_IF_ERROR(Clear(fs, partial_path));
  absl::StatusOr<SavedSnapshot> saved = Save(fs, source, directory, partial_path, options, hasher);
  // The first error is the one to report.
  if (!saved.ok()) Clear(fs, partial_path).IgnoreError();
  return saved;
}

}  // namespace slipstream::storage
