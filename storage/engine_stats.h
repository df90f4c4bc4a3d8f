// EngineStats: what an engine tells of itself, for whoever watches it.
#ifndef SLIPSTREAM_STORAGE_ENGINE_STATS_H_
#define SLIPSTREAM_STORAGE_ENGINE_STATS_H_

#include <cstdint>
#include <string>

#include "storage/file_system.h"

namespace slipstream::storage {

// Figures for status; a snapshot that is exact when no call is under way.
struct EngineStats {
  // Of the keys in memory. If that is all of them, as it is without a memory limit but for the time
  // after Open, `complete` says so.
  uint64_t live_key_count = 0;  // Not deleted; what expired counts until it is collected.
  uint64_t tombstone_count = 0;
  uint64_t damaged_key_count = 0;  // Found damaged by a read; answered with DATA_LOSS.
  bool complete = true;
  uint64_t dirty_count = 0;       // Entries that the next checkpoint will write.
  uint64_t run_count = 0;         // Runs of the Sorted Log.
  uint64_t run_entry_count = 0;   // Theirs; a key counts once for each run that has it.
  uint64_t run_bytes = 0;         // Of their files.
  uint64_t evicted_count = 0;     // Entries that left memory since Open.
  uint64_t checkpoint_count = 0;  // Since Open.
  uint64_t replay_bytes = 0;      // What a start would read of the log, about.
  // What of that is beyond twice Options::checkpoint_bytes: the next checkpoint is late.
  uint64_t checkpoint_debt_bytes = 0;
  // Of all that counts against Options::memory_limit_bytes: keydir_bytes, value_cache_bytes, the
  // next two, the observer's.
  uint64_t memory_bytes = 0;
  uint64_t run_memory_bytes = 0;         // Filters and fences of the runs.
  uint64_t checkpoint_memory_bytes = 0;  // A checkpoint's or a merge's, while there is one.
  uint64_t segment_count = 0;
  uint64_t log_bytes = 0;          // Of all segments, their unused part too.
  uint64_t keydir_bytes = 0;       // Memory of the KeyDir, all overhead counted.
  uint64_t value_cache_bytes = 0;  // Memory of the value cache, all overhead counted.
  uint64_t value_cache_hit_count = 0;
  uint64_t value_cache_miss_count = 0;
  uint64_t flush_count = 0;  // Frames written.
  uint64_t sync_count = 0;
  IoPath io_path;                   // Of the log.
  std::string read_many;            // As FileSystem::DescribeReadMany.
  uint64_t raw_value_bytes = 0;     // Of the values appended since Open, before compression.
  uint64_t stored_value_bytes = 0;  // Of the same values, as stored.
  // Of the segments that are full: all bytes but those of current records, and how many of them are
  // too many (Options::compaction_dead_share), so that Maintain still has to free them.
  uint64_t dead_bytes = 0;
  uint64_t compaction_debt_bytes = 0;
  // Since Open.
  uint64_t compacted_segment_count = 0;
  uint64_t failed_segment_count = 0;    // Not compacted, as what they hold fails its checks.
  uint64_t recycled_segment_count = 0;  // Compacted ones whose file became another segment's.
  // Of the records appended by Write and Apply, and of those copied by compaction: together, over
  // the first, they are the write amplification.
  uint64_t appended_bytes = 0;
  uint64_t copied_bytes = 0;
  // Of Scrub since Open: what it read, how often it got through all there is, the places that it
  // found damaged, each once, and the keys that it quarantined.
  uint64_t scrubbed_bytes = 0;
  uint64_t scrub_pass_count = 0;
  uint64_t scrub_damaged_count = 0;
  uint64_t scrub_damaged_key_count = 0;
};

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_ENGINE_STATS_H_
