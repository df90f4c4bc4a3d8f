// Checkpointer: moves what changed in the KeyDir to the Sorted Log, and merges its runs.
//
// A checkpoint collects the dirty entries of one shard after the other into a new run and then
// replaces the index file, which names the runs and where in the log to go on. What a crash at each
// step leaves: docs/sorted_log.md; why it is one mechanism: docs/decisions/0005.
#ifndef SLIPSTREAM_STORAGE_CHECKPOINTER_H_
#define SLIPSTREAM_STORAGE_CHECKPOINTER_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "storage/change_observer.h"
#include "storage/file_system.h"
#include "storage/index_file.h"
#include "storage/keydir.h"
#include "storage/log.h"
#include "storage/run_merge.h"
#include "storage/run_writer.h"
#include "storage/segment_table.h"
#include "storage/sorted_log.h"

namespace slipstream::storage {

// Not thread-safe: one owner takes its steps. They take the KeyDir's locks one at a time.
class Checkpointer {
 public:
  // What it works on; all must outlive it.
  struct Parts {
    FileSystem* fs = nullptr;
    std::string directory;
    KeyDir* keydir = nullptr;
    Log* log = nullptr;
    SortedLog* sorted_log = nullptr;
    SegmentTable* segment_table = nullptr;
    ChangeObserver* observer = nullptr;  // May be null.
  };
  // What the index says of the engine.
  struct Facts {
    uint64_t actor = 0;
    uint64_t last_hlc = 0;
    uint64_t last_tx_id = 0;
  };

  // `index` is what the file says that the runs in force are named by; run numbers and node_id at
  // least must be set in it.
  Checkpointer(Parts parts, Index index);

  // Starts a checkpoint, or a merge of the `run_count` newest runs into one. Only if idle().
  void StartCheckpoint();
  absl::Status StartMerge(size_t run_count);
  bool idle() const { return stage_ == Stage::kIdle; }
  bool is_merging() const { return stage_ == Stage::kMerging; }
  // Ends what is under way; all is as it was before.
  void Abandon();

  // Takes a step that reads or writes about `bytes` bytes, but for the last one, which writes the
  // index. Returns whether there is more to do. After an error nothing is under way any more and
  // all is as it was before: RESOURCE_EXHAUSTED (DISK_FULL) may be tried again; DATA_LOSS is a
  // damaged run; after others the disk must not be trusted.
  absl::StatusOr<bool> Step(size_t bytes, const Facts& facts);

  // Records before this need not be read by the next start.
  Location replay_position() const { return index_.first_position(); }
  // Memory of what is under way.
  uint64_t memory_bytes() const;
  uint64_t checkpoint_count() const { return checkpoint_count_; }
  uint64_t merge_count() const { return merge_count_; }

 private:
  enum class Stage { kIdle, kCollecting, kFinishing, kMerging };

  absl::StatusOr<bool> Advance(size_t bytes, const Facts& facts);
  absl::Status Collect(size_t bytes);
  void CollectShard(int shard);
  absl::Status AddToRun(const DirtyEntry& entry);
  absl::Status CommitCheckpoint(const Facts& facts);
  absl::Status CommitMerge(const Facts& facts);
  absl::Status Commit(Index index, Runs runs, const Facts& facts);
  std::vector<IndexSegment> Segments() const;
  void CountSettled(std::vector<IndexSegment>& segments);
  RunMerge::Verdict Settle(absl::Span<const RunEntry> newest_first);
  void EndFlush(bool durable);
  uint64_t NextRunNumber() { return index_.next_run_number++; }

  const Parts parts_;
  Index index_;  // As the file has it.
  Stage stage_ = Stage::kIdle;

  // Of the checkpoint under way.
  Index next_index_;
  int next_shard_ = 0;
  std::vector<DirtyEntry> entries_;  // Of the shard before that.
  size_t next_entry_ = 0;
  std::unique_ptr<RunWriter> writer_;  // Null until there is an entry.

  // Of the merge under way.
  size_t merged_run_count_ = 0;
  std::unique_ptr<RunMerge> merge_;
  std::map<uint64_t, uint64_t> settled_dead_bytes_;  // By segment.

  // Of the run that either makes.
  uint64_t run_number_ = 0;
  bool run_is_whole_ = false;  // Under its name.

  uint64_t checkpoint_count_ = 0;
  uint64_t merge_count_ = 0;
};

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_CHECKPOINTER_H_
