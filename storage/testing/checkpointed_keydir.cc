#include "storage/testing/checkpointed_keydir.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "base/version.h"
#include "storage/record.h"
#include "storage/run_format.h"
#include "storage/run_merge_cursor.h"
#include "storage/run_reader.h"
#include "storage/segment.h"

namespace slipstream::storage::testing {
namespace {

constexpr LogOptions kLogOptions{.node_id = kCheckpointNodeId,
                                 .segment_bytes = 1 << 20,
                                 .frame_bytes_target = 4096,
                                 .unflushed_bytes_max = 1 << 20};

std::string KeyOf(uint64_t number) { return absl::StrCat("key", number); }

absl::StatusOr<LocatedEntries> ContentOf(const RunSet& runs) {
  LocatedEntries content;
  SLIP_RETURN_IF_ERROR(runs.VisitRange(base::RangeOf(base::KeyPrefix{}),
                                       [&content](const RunEntry& entry) {
                                         content[entry.key_id()] = entry.located;
                                         return true;
                                       })
                           .status());
  return content;
}

}  // namespace

std::string LsnObserver::Save(uint8_t) { return absl::StrCat(log_->appended_lsn()); }

CheckpointedKeyDir::CheckpointedKeyDir() : fs_(std::make_unique<MemoryFileSystem>()) {
  SLIP_CHECK_OK(fs_->CreateDirectory(kCheckpointDirectory));
  log_ = std::make_unique<Log>(fs_.get(), kCheckpointDirectory, kLogOptions, base::Random(1),
                               LogTail{});
  observer_ = std::make_unique<LsnObserver>(log_.get());
  checkpointer_ = std::make_unique<Checkpointer>(
      Checkpointer::Parts{.fs = fs_.get(),
                          .directory = std::string(kCheckpointDirectory),
                          .keydir = &keydir_,
                          .log = log_.get(),
                          .sorted_log = &sorted_log_,
                          .segment_table = &segment_table_,
                          .observer = observer_.get()},
      Index{.node_id = kCheckpointNodeId});
}

void CheckpointedKeyDir::Put(uint64_t number) {
  const std::string key = KeyOf(number);
  const base::KeyId key_id = base::KeyIdOf(key);
  PendingRecord record{.key = key};
  record.header.type = RecordType::kDelete;
  record.header.hlc = ++last_hlc_;
  record.header.actor = kCheckpointActor;
  record.header.sequence = last_hlc_;
  record.header.key_bytes = static_cast<uint32_t>(key.size());
  record.header.crc32c = RecordCrc(record.header, key, "");
  SLIP_CHECK_OK(log_->EnsureRoom(record.bytes()));
  KeyDir::Exclusive locked(&keydir_, StripeOf(key_id.shard()));
  KeyDir::Shard& shard = locked.shard(key_id.shard());
  const absl::StatusOr<Lsn> lsn = log_->TryAppend(absl::MakeSpan(&record, 1));
  SLIP_CHECK_OK(lsn.status());
  SLIP_CHECK(*lsn != 0);
  const LocatedEntry located{
      .entry = {.key_id = key_id,
                .version = {.hlc = last_hlc_, .actor = base::ActorId{kCheckpointActor}},
                .sequence = last_hlc_,
                .record_bytes = static_cast<uint32_t>(record.bytes()),
                .tombstone = true},
      .location = record.location};
  if (const absl::optional<LocatedEntry> replaced = shard.table.Find(key_id)) {
    ++counted_[replaced->location];
  }
  SLIP_CHECK_OK(shard.table.Admit(base::ActorId{kCheckpointActor}));
  SLIP_CHECK(shard.table.Upsert(located).taken);
  shard.last_sequence = last_hlc_;
  puts_[key_id].push_back(located);
}

void CheckpointedKeyDir::PutSome(base::Random& rng, uint64_t key_count, uint64_t count) {
  for (uint64_t i = 0; i < count; ++i) Put(rng.Below(key_count));
}

void CheckpointedKeyDir::Fetch(uint64_t number) {
  const base::KeyId key_id = base::KeyIdOf(KeyOf(number));
  const absl::StatusOr<absl::optional<RunEntry>> found = sorted_log_.view().runs->Find(key_id);
  SLIP_CHECK_OK(found.status());
  KeyDir::Exclusive locked(&keydir_, StripeOf(key_id.shard()));
  KeyDirShard& table = locked.shard(key_id.shard()).table;
  if (!found->has_value() || table.Find(key_id).has_value()) return;
  table.InsertClean((*found)->located);
}

void CheckpointedKeyDir::EvictAll() {
  KeyDir::Exclusive locked(&keydir_, kAllStripes);
  for (int i = 0; i < base::kShardCount; ++i) {
    KeyDir::Shard& shard = locked.shard(static_cast<uint8_t>(i));
    // The first turn only takes the mark of a late use from them.
    for (int turn = 0; turn < 2; ++turn) shard.table.Evict(shard.table.bucket_count());
    shard.complete = false;
  }
}

absl::StatusOr<bool> CheckpointedKeyDir::Step(size_t bytes) {
  return checkpointer_->Step(bytes, {.actor = kCheckpointActor, .last_hlc = last_hlc_});
}

absl::Status CheckpointedKeyDir::Finish(size_t bytes_per_step) {
  while (!checkpointer_->idle()) SLIP_RETURN_IF_ERROR(Step(bytes_per_step).status());
  return absl::OkStatus();
}

absl::Status CheckpointedKeyDir::Checkpoint() {
  checkpointer_->StartCheckpoint();
  return Finish();
}

absl::Status CheckpointedKeyDir::Merge(size_t run_count, size_t bytes_per_step) {
  std::vector<Location> dead;
  SLIP_RETURN_IF_ERROR(CountMerged(run_count, dead));
  SLIP_RETURN_IF_ERROR(checkpointer_->StartMerge(run_count));
  SLIP_RETURN_IF_ERROR(Finish(bytes_per_step));
  for (const Location& location : dead) ++counted_[location];
  return absl::OkStatus();
}

// Sets `dead` to the records that a merge of the `run_count` newest runs has to count.
absl::Status CheckpointedKeyDir::CountMerged(size_t run_count, std::vector<Location>& dead) const {
  const SortedLog::View view = sorted_log_.view();
  const Runs& all = view.runs->runs();
  RunMergeCursor cursor(Runs(all.begin(), all.begin() + static_cast<ptrdiff_t>(run_count)),
                        base::RangeOf(base::KeyPrefix{}));
  for (;;) {
    SLIP_RETURN_IF_ERROR(cursor.Next());
    if (!cursor.valid()) return absl::OkStatus();
    const absl::Span<const RunEntry> entries = cursor.entries();
    for (size_t i = 0; i + 1 < entries.size(); ++i) {
      if (!entries[i].shadow_counted) dead.push_back(entries[i + 1].located.location);
    }
  }
}

LocatedEntries CheckpointedKeyDir::Dirty() {
  SLIP_CHECK(checkpointer_->idle());
  std::vector<DirtyEntry> entries;
  KeyDir::Exclusive locked(&keydir_, kAllStripes);
  for (int i = 0; i < base::kShardCount; ++i) {
    KeyDirShard& table = locked.shard(static_cast<uint8_t>(i)).table;
    table.BeginFlush(entries);
    table.EndFlush(/*durable=*/false);
  }
  LocatedEntries dirty;
  for (const DirtyEntry& entry : entries) dirty[entry.located.entry.key_id] = entry.located;
  return dirty;
}

LocatedEntries CheckpointedKeyDir::RunContent() const {
  absl::StatusOr<LocatedEntries> content = ContentOf(*sorted_log_.view().runs);
  SLIP_CHECK_OK(content.status());
  return *std::move(content);
}

LocatedEntries CheckpointedKeyDir::PutBefore(const Index& index) const {
  LocatedEntries before;
  for (const auto& [key_id, records] : puts_) {
    for (const LocatedEntry& record : records) {
      if (record.location < index.shards[key_id.shard()].position()) before[key_id] = record;
    }
  }
  return before;
}

LocatedEntries CheckpointedKeyDir::PutBehind(const Index& index) const {
  LocatedEntries behind;
  for (const auto& [key_id, records] : puts_) {
    if (records.back().location < index.shards[key_id.shard()].position()) continue;
    behind[key_id] = records.back();
  }
  return behind;
}

absl::Status CheckpointedKeyDir::CheckIndex(FileSystem* fs, LoadedIndex& index) const {
  SLIP_ASSIGN_OR_RETURN(index, ReadIndex(fs, kCheckpointDirectory));
  Runs runs;
  for (const uint64_t number : index.index.run_numbers) {
    if (number >= index.index.next_run_number) {
      return absl::InternalError(absl::StrCat("run number ", number, " would be given again"));
    }
    SLIP_ASSIGN_OR_RETURN(std::shared_ptr<const SortedRun> run,
                          SortedRun::Open(fs, kCheckpointDirectory,
                                          {.node_id = kCheckpointNodeId, .run_number = number}));
    runs.push_back(std::move(run));
  }
  SLIP_ASSIGN_OR_RETURN(const LocatedEntries content, ContentOf(RunSet(std::move(runs))));
  if (content == PutBefore(index.index)) return absl::OkStatus();
  return absl::InternalError("the runs do not hold what stands before the shards' positions");
}

absl::Status CheckpointedKeyDir::Check() {
  LoadedIndex loaded;
  SLIP_RETURN_IF_ERROR(CheckIndex(fs_.get(), loaded));
  if (RunContent() != PutBefore(loaded.index)) {
    return absl::InternalError("the runs in force are not those of the index");
  }
  if (Dirty() == PutBehind(loaded.index)) return absl::OkStatus();
  return absl::InternalError("what is dirty is not what stands behind the shards' positions");
}

std::set<std::string> CheckpointedKeyDir::DerivedNames() {
  const absl::StatusOr<std::vector<std::string>> all = fs_->ListDirectory(kCheckpointDirectory);
  SLIP_CHECK_OK(all.status());
  std::set<std::string> names;
  for (const std::string& name : *all) {
    if (!ParseSegmentFileName(name).has_value()) names.insert(name);
  }
  return names;
}

std::map<Location, int> CheckpointedKeyDir::DeadCounts() const {
  std::map<Location, int> counts = counted_;
  for (const auto& [key_id, records] : puts_) {
    for (const LocatedEntry& record : records) counts.try_emplace(record.location, 0);
    // The newest one must never have been counted.
    SLIP_CHECK(counts[records.back().location] == 0);
    counts.erase(records.back().location);
  }
  return counts;
}

}  // namespace slipstream::storage::testing
