// How the one memory limit is shared: what the KeyDir may take of it, and what all parts would
// take at another number of keys.
//
// Pure functions: the engine acts on the first, an operator plans with the second. What each part
// really takes is counted by the part itself.
#ifndef SLIPSTREAM_STORAGE_MEMORY_BUDGET_H_
#define SLIPSTREAM_STORAGE_MEMORY_BUDGET_H_

#include <cstdint>

namespace slipstream::storage {

// Returns the bytes that the KeyDir may take of a limit of `limit_bytes`, where all other parts and
// the buffers take `other_bytes`: nine tenths of it less those, but never less than a sixteenth.
// With less than that, every write would cost a checkpoint.
uint64_t HotBudgetBytes(uint64_t limit_bytes, uint64_t other_bytes);

// What memory holds now. Keys are all that are remembered, deleted ones too.
struct MemoryUse {
  uint64_t key_count = 0;  // In memory or on disk.
  uint64_t hot_key_count = 0;
  uint64_t keydir_bytes = 0;
  uint64_t run_entry_count = 0;
  uint64_t run_memory_bytes = 0;  // Filters and fences.
  uint64_t tree_key_count = 0;    // Live keys: the tree's leaves.
  uint64_t tree_bytes = 0;
};

// The bounds that it has.
struct MemoryBounds {
  uint64_t limit_bytes = 0;  // 0: none.
  uint64_t value_cache_bytes = 0;
  uint64_t buffer_bytes = 0;  // Frames that are not flushed.
};

// Memory in bytes that a key takes.
struct BytesPerKey {
  double keydir = 0;  // If it is hot.
  double runs = 0;    // Of filters and fences, hot or cold.
  double tree = 0;
};

// Below so many keys, what each takes is not measured: the parts' fixed sizes and half-empty arrays
// would be most of it. 256 for each shard.
inline constexpr uint64_t kMeasuredKeysMin = 1 << 16;

// Returns what a key takes now of each part; of one that has fewer than kMeasuredKeysMin keys, what
// it takes with many.
BytesPerKey MeasureBytesPerKey(const MemoryUse& use);

// Memory at some number of keys, in bytes.
struct MemoryForecast {
  uint64_t key_count = 0;
  uint64_t keydir_bytes = 0;  // Were all keys hot.
  uint64_t run_memory_bytes = 0;
  uint64_t tree_bytes = 0;
  uint64_t value_cache_bytes = 0;  // Full.
  uint64_t all_hot_bytes = 0;      // The sum of these.
  double hot_share = 1;            // Of the keys: those that the limit leaves in memory.
  // The sum, with that share hot. May be more than the limit, as all but the KeyDir does not
  // shrink.
  uint64_t memory_bytes = 0;
};

// Works out what memory would be at `factor` times the keys, if they are like those of now.
MemoryForecast ForecastMemory(const MemoryUse& use, const MemoryBounds& bounds, uint64_t factor);

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_MEMORY_BUDGET_H_
