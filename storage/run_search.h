// RunSearch: which of many records are the ones that the runs name, found in key_id order so that
// no page is read twice.
//
// For compaction: a look-up for each record of a cold key would read a page each time, and a
// segment has many records on each page's keys. What memory holds is not known here.
#ifndef SLIPSTREAM_STORAGE_RUN_SEARCH_H_
#define SLIPSTREAM_STORAGE_RUN_SEARCH_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "base/key_id.h"
#include "storage/file_system.h"
#include "storage/keydir_shard.h"
#include "storage/run_reader.h"
#include "storage/run_set.h"

namespace slipstream::storage {

// First Want for each record, then Start, then Step until it returns false. Not thread-safe.
class RunSearch {
 public:
  // Takes `bytes_max` of memory at most, about, but for at least 16 records. `fs`, which has the
  // runs, must outlive the search.
  RunSearch(FileSystem* fs, size_t bytes_max);

  // Asks for the record of `key_id` at `location`, which is behind those of all calls before. Not
  // when full(), not after Start.
  void Want(const base::KeyId& key_id, const Location& location);
  bool full() const { return wanted_.size() >= wanted_max_; }

  void Start(std::shared_ptr<const RunSet> runs);
  bool started() const { return runs_ != nullptr; }

  // Goes on until it has read `read_bytes_max`, or some 128 KiB more; returns whether there is more
  // to do. DATA_LOSS, with path and page, if a page fails its checks; UNAVAILABLE if the device
  // does: the next call tries again.
  absl::StatusOr<bool> Step(uint64_t read_bytes_max);

  // What the search found of a record.
  enum class Verdict {
    kUnknown,  // It was not asked for, or the search has not come to its end.
    kCurrent,  // The newest entry of its key is that of this record.
    kDead,     // It is another's, or there is none. So it stays, whatever becomes of the runs.
  };
  struct Found {
    Verdict verdict = Verdict::kUnknown;
    const LocatedEntry* located = nullptr;  // If current. As long as the search.
  };
  Found Find(const Location& location) const;

 private:
  static constexpr uint32_t kNone = std::numeric_limits<uint32_t>::max();

  struct Wanted {
    base::KeyId key_id;
    Location location;
    uint32_t found_index = kNone;  // In found_.
  };

  void StartRun();
  absl::Status ReadAhead(const SortedRun& run);
  absl::StatusOr<bool> FindIn(const SortedRun& run, Wanted& wanted);

  FileSystem* const fs_;
  const size_t wanted_max_;
  std::vector<Wanted> wanted_;       // By location.
  std::vector<LocatedEntry> found_;  // Of those that are current.
  std::shared_ptr<const RunSet> runs_;
  size_t run_index_ = 0;        // The run that is being searched, newest first.
  std::vector<uint32_t> open_;  // Indexes of wanted_, by key_id: no newer run had the key.
  size_t next_ = 0;             // In open_.
  size_t kept_ = 0;             // The first of open_, before next_, are open for older runs.
  bool is_dense_ = false;       // Of the pages of one read, two or more are wanted.
  size_t ahead_end_ = 0;        // In open_: those before are read ahead. If not dense.
  absl::optional<RunPageBuffer> pages_;  // Of the run.
};

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_RUN_SEARCH_H_
