#include "storage/checkpointer.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/key_id.h"
#include "base/status_macros.h"
#include "storage/log_segment.h"
#include "storage/run_format.h"
#include "storage/run_reader.h"

namespace slipstream::storage {

Checkpointer::Checkpointer(Parts parts, Index index)
    : parts_(std::move(parts)), index_(std::move(index)) {}

void Checkpointer::StartCheckpoint() {
  SLIP_CHECK(idle());
  stage_ = Stage::kCollecting;
  next_index_ = index_;
  next_shard_ = 0;
  entries_.clear();
  next_entry_ = 0;
  run_number_ = 0;
}

absl::Status Checkpointer::StartMerge(size_t run_count) {
  SLIP_CHECK(idle());
  const Runs& all = parts_.sorted_log->view().runs->runs();
  SLIP_CHECK(run_count <= all.size());
  run_number_ = NextRunNumber();
  SLIP_ASSIGN_OR_RETURN(
      merge_, RunMerge::Create(parts_.fs, parts_.directory,
                               Runs(all.begin(), all.begin() + static_cast<ptrdiff_t>(run_count)),
                               {.node_id = index_.node_id, .run_number = run_number_}));
  settled_dead_bytes_.clear();
  merged_run_count_ = run_count;
  stage_ = Stage::kMerging;
  return absl::OkStatus();
}

absl::StatusOr<bool> Checkpointer::Step(size_t bytes, const Facts& facts) {
  absl::StatusOr<bool> more = Advance(bytes, facts);
  if (!more.ok()) Abandon();
  return more;
}

absl::StatusOr<bool> Checkpointer::Advance(size_t bytes, const Facts& facts) {
  switch (stage_) {
    case Stage::kIdle:
      return false;
    case Stage::kCollecting:
      SLIP_RETURN_IF_ERROR(Collect(bytes));
      return true;
    case Stage::kFinishing:
      if (writer_ != nullptr) {
        SLIP_ASSIGN_OR_RETURN(const bool more, writer_->FinishSome(bytes));
        if (more) return true;
        run_is_whole_ = true;
      }
      SLIP_RETURN_IF_ERROR(CommitCheckpoint(facts));
      return false;
    case Stage::kMerging:
      SLIP_ASSIGN_OR_RETURN(const bool more,
                            merge_->Step(bytes, [this](absl::Span<const RunEntry> newest_first) {
                              return Settle(newest_first);
                            }));
      if (more) return true;
      run_is_whole_ = true;
      SLIP_RETURN_IF_ERROR(CommitMerge(facts));
      return false;
  }
  return false;
}

absl::Status Checkpointer::Collect(size_t bytes) {
  for (size_t done = 0; done < bytes; done += kRunEntryBytes) {
    while (next_entry_ == entries_.size() && next_shard_ < base::kShardCount) {
      CollectShard(next_shard_++);
    }
    if (next_entry_ == entries_.size()) {
      stage_ = Stage::kFinishing;
      return absl::OkStatus();
    }
    SLIP_RETURN_IF_ERROR(AddToRun(entries_[next_entry_++]));
  }
  return absl::OkStatus();
}

void Checkpointer::CollectShard(int shard) {
  entries_.clear();
  next_entry_ = 0;
  const auto index = static_cast<uint8_t>(shard);
  KeyDir::Exclusive locked(parts_.keydir, StripeOf(index));
  KeyDir::Shard& state = locked.shard(index);
  state.table.BeginFlush(entries_);
  state.collected = true;
  // Whatever this shard's lock lets in from now on is appended behind this.
  const Location position = parts_.log->append_position();
  next_index_.shards[shard] = {.segment_number = position.segment_number,
                               .offset = position.offset,
                               .last_sequence = state.last_sequence};
}

absl::Status Checkpointer::AddToRun(const DirtyEntry& entry) {
  if (writer_ == nullptr) {
    run_number_ = NextRunNumber();
    SLIP_ASSIGN_OR_RETURN(
        writer_, RunWriter::Create(parts_.fs, parts_.directory,
                                   {.node_id = index_.node_id, .run_number = run_number_}));
  }
  return writer_->Add({.located = entry.located, .shadow_counted = entry.shadow_counted});
}

absl::Status Checkpointer::CommitCheckpoint(const Facts& facts) {
  Runs runs = parts_.sorted_log->view().runs->runs();
  if (writer_ != nullptr) {
    SLIP_ASSIGN_OR_RETURN(std::shared_ptr<const SortedRun> run,
                          SortedRun::Open(parts_.fs, parts_.directory,
                                          {.node_id = index_.node_id, .run_number = run_number_}));
    runs.insert(runs.begin(), std::move(run));
  }
  // A merge keeps the actor with the sequences that the shards name.
  next_index_.actor = facts.actor;
  next_index_.segments = Segments();
  SLIP_RETURN_IF_ERROR(Commit(next_index_, std::move(runs), facts));
  EndFlush(/*durable=*/true);
  writer_.reset();
  ++checkpoint_count_;
  return absl::OkStatus();
}

absl::Status Checkpointer::CommitMerge(const Facts& facts) {
  const Runs old_runs = parts_.sorted_log->view().runs->runs();
  SLIP_ASSIGN_OR_RETURN(std::shared_ptr<const SortedRun> run,
                        SortedRun::Open(parts_.fs, parts_.directory,
                                        {.node_id = index_.node_id, .run_number = run_number_}));
  Runs runs = {std::move(run)};
  runs.insert(runs.end(), old_runs.begin() + static_cast<ptrdiff_t>(merged_run_count_),
              old_runs.end());
  Index index = index_;
  CountSettled(index.segments);
  SLIP_RETURN_IF_ERROR(Commit(std::move(index), std::move(runs), facts));
  for (const auto& [number, bytes] : settled_dead_bytes_) {
    parts_.segment_table->AddDead(number, bytes);
  }
  for (size_t i = 0; i < merged_run_count_; ++i) {
    // What is left here is removed by the next start: no index names it.
    parts_.fs->Remove(old_runs[i]->path()).IgnoreError();
  }
  merge_.reset();
  ++merge_count_;
  return absl::OkStatus();
}

// Puts `runs` in force, on disk and here, with what else `index` says.
absl::Status Checkpointer::Commit(Index index, Runs runs, const Facts& facts) {
  index.last_hlc = facts.last_hlc;
  index.last_tx_id = facts.last_tx_id;
  index.next_run_number = index_.next_run_number;
  index.run_numbers.clear();
  for (const std::shared_ptr<const SortedRun>& run : runs) {
    index.run_numbers.push_back(run->number());
  }
  SLIP_RETURN_IF_ERROR(WriteIndex(
      parts_.fs, parts_.directory, index,
      [this](uint8_t shard) {
        return parts_.observer == nullptr ? std::string() : parts_.observer->Save(shard);
      },
      [this] { return parts_.log->appended_lsn(); },
      // All that the runs and what the observer saved depend on is in the log by now.
      [this] { return parts_.log->Flush(Log::Mode::kSync).status(); }));
  if (const absl::Status status = parts_.log->status(); !status.ok()) {
    // Whoever failed it may have taken the index out of force, and this put one back.
    SLIP_RETURN_IF_ERROR(parts_.fs->Remove(JoinPath(parts_.directory, kIndexFileName)));
    return status;
  }
  index_ = std::move(index);
  parts_.sorted_log->Replace(std::move(runs));
  run_is_whole_ = false;
  stage_ = Stage::kIdle;
  return absl::OkStatus();
}

// What the index says of the segments, as of when the shards were collected.
std::vector<IndexSegment> Checkpointer::Segments() const {
  std::vector<IndexSegment> segments;
  uint64_t next_number = 1;
  for (const SealedSegment& sealed : parts_.log->SealedSegments()) {
    const uint32_t flags = kIndexSegmentFull |
                           (sealed.holds_writes ? kIndexSegmentHoldsWrites : 0) |
                           (sealed.holds_commits ? kIndexSegmentHoldsCommits : 0) |
                           (sealed.damaged ? kIndexSegmentDamaged : 0);
    segments.push_back({.number = static_cast<uint32_t>(sealed.link.number),
                        .flags = flags,
                        .dead_bytes = parts_.segment_table->dead_when_collected(sealed.link.number),
                        .record_bytes = sealed.record_bytes});
    next_number = sealed.link.number + 1;
  }
  const uint64_t last_number = parts_.log->append_position().segment_number;
  for (uint64_t number = next_number; number <= last_number; ++number) {
    const uint64_t dead_bytes = parts_.segment_table->dead_when_collected(number);
    if (dead_bytes == 0) continue;
    segments.push_back({.number = static_cast<uint32_t>(number), .dead_bytes = dead_bytes});
  }
  return segments;
}

// Adds what the merge settled to the dead bytes of `segments`; forgets what it settled of segments
// that are no more.
void Checkpointer::CountSettled(std::vector<IndexSegment>& segments) {
  for (auto settled = settled_dead_bytes_.begin(); settled != settled_dead_bytes_.end();) {
    const uint64_t number = settled->first;
    const uint64_t bytes = settled->second;
    if (parts_.log->FindFile(number) == nullptr) {
      settled = settled_dead_bytes_.erase(settled);
      continue;
    }
    const auto found =
        std::find_if(segments.begin(), segments.end(),
                     [number](const IndexSegment& each) { return each.number == number; });
    if (found != segments.end()) {
      found->dead_bytes += bytes;
    } else {
      segments.push_back({.number = static_cast<uint32_t>(number), .dead_bytes = bytes});
    }
    ++settled;
  }
}

// Counts the records that a merge finds dead and that no one could count before.
RunMerge::Verdict Checkpointer::Settle(absl::Span<const RunEntry> newest_first) {
  for (size_t i = 1; i < newest_first.size(); ++i) {
    const LocatedEntry& older = newest_first[i].located;
    // One record may be in two runs: the log was read again from before it.
    if (newest_first[i - 1].shadow_counted ||
        newest_first[i - 1].located.location == older.location) {
      continue;
    }
    settled_dead_bytes_[older.location.segment_number] += older.entry.record_bytes;
  }
  return RunMerge::Verdict::kKeep;
}

void Checkpointer::EndFlush(bool durable) {
  for (int shard = 0; shard < base::kShardCount; ++shard) {
    const auto index = static_cast<uint8_t>(shard);
    KeyDir::Exclusive locked(parts_.keydir, StripeOf(index));
    locked.shard(index).table.EndFlush(durable);
    locked.shard(index).collected = false;
  }
  parts_.segment_table->EndCollection();
}

void Checkpointer::Abandon() {
  if (run_is_whole_) {
    // Should the index on disk name it after all, the next start finds it missing and reads the
    // log.
    parts_.fs->Remove(JoinPath(parts_.directory, RunFileName(run_number_))).IgnoreError();
  } else if (writer_ != nullptr) {
    writer_->Abandon();
  } else if (merge_ != nullptr) {
    merge_->Abandon();
  }
  run_is_whole_ = false;
  if (stage_ == Stage::kCollecting || stage_ == Stage::kFinishing) EndFlush(/*durable=*/false);
  writer_.reset();
  merge_.reset();
  entries_.clear();
  next_entry_ = 0;
  stage_ = Stage::kIdle;
}

uint64_t Checkpointer::memory_bytes() const {
  return entries_.capacity() * sizeof(DirtyEntry) +
         (writer_ == nullptr ? 0 : writer_->memory_bytes()) +
         (merge_ == nullptr ? 0 : merge_->memory_bytes());
}

}  // namespace slipstream::storage
