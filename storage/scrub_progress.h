// What a step of the scrubber did, and what it found.
#ifndef SLIPSTREAM_STORAGE_SCRUB_PROGRESS_H_
#define SLIPSTREAM_STORAGE_SCRUB_PROGRESS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/optional.h"
#include "base/key_id.h"

namespace slipstream::storage {

// Of a finding, how many keys it names.
inline constexpr size_t kScrubKeysNamedMax = 8;

// Damage of one segment that was not known before, in this life.
struct ScrubFinding {
  uint64_t segment_number = 0;
  uint64_t place_count = 0;          // Stretches of the file that fail their checks, and are new.
  std::string cause;                 // Of the first, with its offset; empty if none is new.
  uint64_t key_count = 0;            // Keys that were quarantined.
  std::vector<base::KeyId> key_ids;  // The first kScrubKeysNamedMax of them.
};

struct ScrubProgress {
  uint64_t bytes = 0;       // Read from disk, about.
  bool ended_pass = false;  // All that there was has been checked once; the next step starts anew.
  absl::optional<ScrubFinding> finding;  // When all of its segment has been looked at.
};

struct ScrubStats {
  uint64_t scrubbed_bytes = 0;
  uint64_t pass_count = 0;
  uint64_t damaged_count = 0;      // Places found damaged, each once.
  uint64_t damaged_key_count = 0;  // Keys quarantined.
};

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_SCRUB_PROGRESS_H_
