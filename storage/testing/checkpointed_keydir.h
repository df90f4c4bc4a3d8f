// CheckpointedKeyDir: a KeyDir, a log and a Checkpointer put together as the engine does, with an
// account of every record that is kept apart from them.
#ifndef SLIPSTREAM_STORAGE_TESTING_CHECKPOINTED_KEYDIR_H_
#define SLIPSTREAM_STORAGE_TESTING_CHECKPOINTED_KEYDIR_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/key_id.h"
#include "base/random.h"
#include "storage/change_observer.h"
#include "storage/checkpointer.h"
#include "storage/file_system.h"
#include "storage/index_file.h"
#include "storage/keydir.h"
#include "storage/keydir_shard.h"
#include "storage/log.h"
#include "storage/memory_file_system.h"
#include "storage/run_set.h"
#include "storage/segment_table.h"
#include "storage/sorted_log.h"

namespace slipstream::storage::testing {

inline constexpr absl::string_view kCheckpointDirectory = "/d";
inline constexpr uint64_t kCheckpointNodeId = 0x77;
inline constexpr uint64_t kCheckpointActor = 1;

// Saves for every shard, in decimal, the LSN up to which the log had been appended.
class LsnObserver : public ChangeObserver {
 public:
  explicit LsnObserver(const Log* log) : log_(log) {}
  void OnChange(const base::KeyId&) override {}
  std::string Save(uint8_t shard) override;

 private:
  const Log* const log_;
};

// Entries by key_id.
using LocatedEntries = std::map<base::KeyId, LocatedEntry>;

// Not thread-safe.
class CheckpointedKeyDir {
 public:
  CheckpointedKeyDir();

  // Writes a record of the `number`-th key blindly.
  void Put(uint64_t number);
  // Does so `count` times for any of the first `key_count` keys.
  void PutSome(base::Random& rng, uint64_t key_count, uint64_t count);
  // Brings the `number`-th key into memory if a run has it and memory does not.
  void Fetch(uint64_t number);
  // Takes all clean entries out of memory.
  void EvictAll();

  static constexpr size_t kAtOnce = std::numeric_limits<size_t>::max() / 2;
  absl::StatusOr<bool> Step(size_t bytes);
  // Takes steps to the end of what is under way.
  absl::Status Finish(size_t bytes_per_step = kAtOnce);
  absl::Status Checkpoint();
  // Merges the `run_count` newest runs.
  absl::Status Merge(size_t run_count, size_t bytes_per_step = kAtOnce);

  // Returns what is dirty in memory, which stays so. No checkpoint may be under way.
  LocatedEntries Dirty();
  // Returns what the runs in force hold.
  LocatedEntries RunContent() const;
  // Of all keys put: the newest record before their shard's position in `index`, or of those whose
  // newest one stands at or behind it, that one.
  LocatedEntries PutBefore(const Index& index) const;
  LocatedEntries PutBehind(const Index& index) const;

  // Checks that `fs` has an index whose runs are whole and hold exactly what PutBefore says; sets
  // `index`. INTERNAL says what is wrong.
  absl::Status CheckIndex(FileSystem* fs, LoadedIndex& index) const;
  // The same for its own disk, and that what stands behind is dirty, and nothing else.
  absl::Status Check();

  // All files but those of the log.
  std::set<std::string> DerivedNames();

  // How often each record that is not the newest of its key has been counted as dead: by the put
  // that replaced it in memory, or by a merge, as the entries' flags tell.
  std::map<Location, int> DeadCounts() const;

  MemoryFileSystem& fs() { return *fs_; }
  Log& log() { return *log_; }
  KeyDir& keydir() { return keydir_; }
  const SortedLog& sorted_log() const { return sorted_log_; }
  Checkpointer& checkpointer() { return *checkpointer_; }
  uint64_t last_hlc() const { return last_hlc_; }

 private:
  absl::Status CountMerged(size_t run_count, std::vector<Location>& dead) const;

  const std::unique_ptr<MemoryFileSystem> fs_;
  std::unique_ptr<Log> log_;
  KeyDir keydir_;
  SegmentTable segment_table_;
  SortedLog sorted_log_;
  std::unique_ptr<LsnObserver> observer_;
  std::unique_ptr<Checkpointer> checkpointer_;
  uint64_t last_hlc_ = 0;
  std::map<base::KeyId, std::vector<LocatedEntry>> puts_;  // All records of a key, in order.
  std::map<Location, int> counted_;
};

}  // namespace slipstream::storage::testing

#endif  // SLIPSTREAM_STORAGE_TESTING_CHECKPOINTED_KEYDIR_H_
