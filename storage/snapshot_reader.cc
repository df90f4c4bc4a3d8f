#include "storage/snapshot_reader.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/types/optional.h"
#include "base/error_reason.h"
#include "base/key_id.h"
#include "base/status_macros.h"
#include "storage/chunk_arena.h"
#include "storage/compression.h"
#include "storage/identity.h"
#include "storage/keydir.h"
#include "storage/keydir_shard.h"
#include "storage/log_recovery.h"
#include "storage/manifest.h"
#include "storage/read_only_file_system.h"
#include "storage/recovery_report.h"
#include "storage/segment.h"

namespace slipstream::storage {
namespace {

absl::Status Damaged(absl::string_view what) {
  return base::WithReason(absl::DataLossError(what), base::kReasonSnapshotDamaged);
}

// The last part of a path.
absl::string_view NameOf(absl::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  const size_t slash = path.rfind('/');
  return slash == absl::string_view::npos ? path : path.substr(slash + 1);
}

// What is no error of the device is one of the snapshot: files that are not there, not ours, of
// another length than they must have, or that a node would remove.
absl::Status Judge(const absl::Status& status) {
  if (status.ok() || absl::IsUnavailable(status) || absl::IsResourceExhausted(status) ||
      absl::IsPermissionDenied(status)) {
    return status;
  }
  return Damaged(status.message());
}

// The newest entries of the shards from `first_shard` on, as many as fit.
class Slice {
 public:
  Slice(int first_shard, uint64_t bytes_max) : first_shard_(first_shard), bytes_max_(bytes_max) {
    for (int i = 0; i < base::kShardCount; ++i) {
      shards_.push_back(std::make_unique<KeyDirShard>(&arena_));
    }
  }

  absl::Status Take(const RecordView& record, const Location& location) {
    const base::KeyId key_id = base::KeyIdOf(record.key);
    const int index = key_id.shard();
    if (index < first_shard_ || index >= end_shard_) return absl::OkStatus();
    KeyDirShard& shard = at(index);
    const uint64_t bytes_before = shard.bytes();
    SLIP_RETURN_IF_ERROR(shard.Admit(record.version().actor));
    shard.Upsert({.entry = {.key_id = key_id,
                            .version = record.version(),
                            .sequence = record.header.sequence,
                            .expires_at_ms = record.header.expires_at_ms,
                            .value_digest = record.header.value_digest,
                            .record_bytes = static_cast<uint32_t>(record.bytes()),
                            .tombstone = record.header.type == RecordType::kDelete},
                  .location = location});
    bytes_ += shard.bytes() - bytes_before;
    while (bytes_ > bytes_max_ && end_shard_ - first_shard_ > 1) GiveUpLastShard();
    return absl::OkStatus();
  }

  bool IsCurrent(const RecordView& record, const Location& location) const {
    const base::KeyId key_id = base::KeyIdOf(record.key);
    const int index = key_id.shard();
    if (index < first_shard_ || index >= end_shard_) return false;
    const absl::optional<LocatedEntry> located = at(index).Find(key_id);
    return located.has_value() && located->location == location;
  }

  void AddTo(SnapshotContent& content, EntryHasher& hasher) const {
    for (int index = first_shard_; index < end_shard_; ++index) {
      const KeyDirShard& shard = at(index);
      content.key_count += shard.live_count();
      content.tombstone_count += shard.tombstone_count();
      shard.Visit(RangeOfShard(static_cast<uint8_t>(index)),
                  [&hasher](const LocatedEntry& located) {
                    if (!located.entry.tombstone) hasher.Add(located.entry);
                    return true;
                  });
    }
  }

  int end_shard() const { return end_shard_; }

 private:
  void GiveUpLastShard() {
    KeyDirShard& last = at(--end_shard_);
    const uint64_t bytes_before = last.bytes();
    last.Clear();
    bytes_ -= bytes_before - last.bytes();
  }

  KeyDirShard& at(int index) const { return *shards_[static_cast<size_t>(index)]; }

  const int first_shard_;
  const uint64_t bytes_max_;
  int end_shard_ = base::kShardCount;
  uint64_t bytes_ = 0;  // Beyond empty tables.
  ChunkArena arena_;
  std::vector<std::unique_ptr<KeyDirShard>> shards_;
};

// What the directory holds besides the segments' content.
struct Frame {
  std::vector<uint64_t> segment_numbers;
  Identity identity;
  std::vector<SegmentGap> gaps;
};

absl::StatusOr<Frame> ReadFrame(FileSystem* fs, absl::string_view directory) {
  Frame frame;
  SLIP_ASSIGN_OR_RETURN(const std::vector<std::string> names, fs->ListDirectory(directory));
  for (const std::string& name : names) {
    if (const auto number = ParseSegmentFileName(name)) frame.segment_numbers.push_back(*number);
  }
  std::sort(frame.segment_numbers.begin(), frame.segment_numbers.end());
  SLIP_ASSIGN_OR_RETURN(frame.identity, ReadIdentity(fs, directory));
  absl::StatusOr<Manifest> manifest = ReadManifest(fs, directory);
  if (manifest.ok()) {
    frame.gaps = std::move(manifest->gaps);
  } else if (!absl::IsNotFound(manifest.status())) {
    return manifest.status();
  }
  return frame;
}

// One pass over what applies of the log.
absl::StatusOr<LogRecovery> ReadLog(
    FileSystem* fs, absl::string_view directory, const Frame& frame,
    absl::FunctionRef<absl::Status(const RecordView& record, const Location& location)> use) {
  const LogRecoveryOptions options{.node_id = frame.identity.node_id,
                                   .durable_lsn = frame.identity.durable_lsn,
                                   .gaps = frame.gaps};
  return RecoverLog(
      fs, directory, frame.segment_numbers, options, [use](const RecoveredRecord& recovered) {
        return recovered.fate == RecordFate::kStreamed ? absl::OkStatus()
                                                       : use(recovered.record, recovered.location);
      });
}

void Describe(const LogRecovery& recovery, SnapshotContent& content) {
  content.last_lsn = recovery.tail.last_lsn;
  content.damaged_count = recovery.report.damaged.size();
  for (const DamagedRange& range : recovery.report.damaged) {
    content.lost_record_count += range.lost_count();
  }
  if (content.damaged_count != 0) content.damage = recovery.report.damaged.front().cause;
}

// DATA_LOSS unless the value of `record` is the one that its digest, and so the root, tells.
absl::Status CheckValue(absl::string_view directory, const RecordView& record,
                        const Location& location) {
  if (record.header.type != RecordType::kPut) return absl::OkStatus();
  absl::Status status = DecompressValue(record.header, record.value).status();
  if (status.ok()) return status;
  return Damaged(absl::StrFormat("%s offset %d: %s",
                                 JoinPath(directory, SegmentFileName(location.segment_number)),
                                 location.offset, status.message()));
}

absl::StatusOr<SnapshotContent> Read(FileSystem* fs, absl::string_view directory,
                                     const SnapshotReadOptions& options, EntryHasher& hasher,
                                     const absl::optional<OnSnapshotRecord>& use) {
  ReadOnlyFileSystem read_only(fs);
  absl::StatusOr<Frame> frame = ReadFrame(&read_only, directory);
  if (!frame.ok()) return Judge(frame.status());
  SnapshotContent content;
  for (int shard = 0; shard < base::kShardCount;) {
    Slice slice(shard, options.entry_bytes_max);
    const absl::StatusOr<LogRecovery> recovery =
        ReadLog(&read_only, directory, *frame,
                [&slice, shard, directory](const RecordView& record, const Location& location) {
                  // Once is enough.
                  if (shard == 0) SLIP_RETURN_IF_ERROR(CheckValue(directory, record, location));
                  return slice.Take(record, location);
                });
    if (!recovery.ok()) return Judge(recovery.status());
    if (shard == 0) Describe(*recovery, content);
    slice.AddTo(content, hasher);
    if (use.has_value()) {
      SLIP_RETURN_IF_ERROR(
          ReadLog(&read_only, directory, *frame,
                  [&slice, &use](const RecordView& record, const Location& location) {
                    return slice.IsCurrent(record, location) ? (*use)(record) : absl::OkStatus();
                  })
              .status());
    }
    shard = slice.end_shard();
  }
  content.root = hasher.Finish();
  return content;
}

absl::Status CheckMember(FileSystem* fs, absl::string_view directory,
                         const SnapshotMember& member) {
  const std::string path = JoinPath(directory, member.name_view());
  const absl::StatusOr<std::unique_ptr<File>> file = fs->Open(path, OpenMode::kRead);
  if (absl::IsNotFound(file.status())) return Damaged(absl::StrCat(path, " is missing"));
  SLIP_RETURN_IF_ERROR(file.status());
  SLIP_ASSIGN_OR_RETURN(const uint64_t bytes, (*file)->Size());
  if (bytes == member.bytes) return absl::OkStatus();
  return Damaged(absl::StrFormat("%s has %d bytes, not %d", path, bytes, member.bytes));
}

}  // namespace

absl::StatusOr<SnapshotContent> ReadSnapshot(FileSystem* fs, absl::string_view directory,
                                             const SnapshotReadOptions& options,
                                             EntryHasher& hasher) {
  return Read(fs, directory, options, hasher, absl::nullopt);
}

absl::StatusOr<SnapshotContent> ReadSnapshot(FileSystem* fs, absl::string_view directory,
                                             const SnapshotReadOptions& options,
                                             EntryHasher& hasher, OnSnapshotRecord use) {
  return Read(fs, directory, options, hasher, use);
}

absl::StatusOr<SnapshotFile> CheckSnapshotFiles(FileSystem* fs, absl::string_view directory) {
  SLIP_ASSIGN_OR_RETURN(const std::vector<std::string> names, fs->ListDirectory(directory));
  const absl::string_view name = NameOf(directory);
  if (absl::EndsWith(name, kSnapshotPartialSuffix)) {
    return absl::FailedPreconditionError(
        absl::StrCat(directory, " is a snapshot that was never finished"));
  }
  SLIP_ASSIGN_OR_RETURN(SnapshotFile file, ReadSnapshotFile(fs, directory));
  for (const SnapshotMember& member : file.members) {
    SLIP_RETURN_IF_ERROR(CheckMember(fs, directory, member));
  }
  for (const std::string& each : names) {
    const bool listed =
        std::any_of(file.members.begin(), file.members.end(),
                    [&each](const SnapshotMember& member) { return member.name_view() == each; });
    if (!listed && each != kSnapshotFileName) {
      return Damaged(absl::StrCat(JoinPath(directory, each), " does not belong to the snapshot"));
    }
  }
  if (const std::string expected = SnapshotDirectoryName(file.header.root); name != expected) {
    return Damaged(absl::StrCat(directory, ": its file says root ", base::ToHex(file.header.root),
                                ", so its name must be ", expected));
  }
  return file;
}

absl::Status CheckSnapshotContent(absl::string_view directory, const SnapshotFile& file,
                                  const SnapshotContent& content) {
  const SnapshotHeader& header = file.header;
  // Damage explains all other differences.
  if (content.damaged_count != header.damaged_count ||
      content.lost_record_count != header.lost_record_count) {
    const uint64_t known = std::min(content.lost_record_count, header.lost_record_count);
    return Damaged(absl::StrFormat("%s: the log is damaged, which costs %d records: %s", directory,
                                   content.lost_record_count - known, content.damage));
  }
  if (content.root != header.root) {
    return Damaged(absl::StrCat(directory, ": the root of what it holds is ",
                                base::ToHex(content.root), ", its file says ",
                                base::ToHex(header.root)));
  }
  if (content.key_count == header.key_count && content.tombstone_count == header.tombstone_count &&
      content.last_lsn == header.last_lsn) {
    return absl::OkStatus();
  }
  return Damaged(absl::StrFormat(
      "%s holds %d keys and %d tombstones up to record %d; its file says %d, %d and %d", directory,
      content.key_count, content.tombstone_count, content.last_lsn, header.key_count,
      header.tombstone_count, header.last_lsn));
}

absl::StatusOr<SnapshotFile> VerifySnapshot(FileSystem* fs, absl::string_view directory,
                                            const SnapshotReadOptions& options,
                                            EntryHasher& hasher) {
  SLIP_ASSIGN_OR_RETURN(SnapshotFile file, CheckSnapshotFiles(fs, directory));
  SLIP_ASSIGN_OR_RETURN(const SnapshotContent content,
                        ReadSnapshot(fs, directory, options, hasher));
  SLIP_RETURN_IF_ERROR(CheckSnapshotContent(directory, file, content));
  return file;
}

}  // namespace slipstream::storage
