// Entries and runs of the Sorted Log for tests.
#ifndef SLIPSTREAM_STORAGE_TESTING_SMALL_RUNS_H_
#define SLIPSTREAM_STORAGE_TESTING_SMALL_RUNS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/key_id.h"
#include "base/random.h"
#include "storage/file_system.h"
#include "storage/run_format.h"
#include "storage/run_reader.h"
#include "storage/run_writer.h"

namespace slipstream::storage::testing {

inline constexpr absl::string_view kRunDirectory = "/data";
inline constexpr uint64_t kRunNodeId = 0x1234;

// What a run holds, kept apart from it.
using RunContent = std::map<base::KeyId, RunEntry>;

// Returns the `index`-th key_id of a fixed sequence that is as uniform as those of real keys.
base::KeyId NumberedKeyId(uint64_t index);

// Returns a key_id that starts with the 8 bytes of `fence`, all others zero but the last, `last`.
base::KeyId TiedKeyId(RunFence fence, uint8_t last);

// Returns an entry of `key_id` with every field drawn, and version `hlc`.
RunEntry DrawRunEntry(base::Random& rng, const base::KeyId& key_id, uint64_t hlc);

// Returns drawn entries of NumberedKeyId(0) to NumberedKeyId(count - 1).
RunContent DrawRunContent(base::Random& rng, uint64_t count);

// Writes `content` as run `number`.
absl::Status WriteRun(FileSystem* fs, const RunContent& content, uint64_t number);

// Writes and opens it.
absl::StatusOr<std::shared_ptr<const SortedRun>> BuildRun(FileSystem* fs, const RunContent& content,
                                                          uint64_t number);

// Makes the checksums of an edited run right again: of page `page`, counted from the header's 0,
// and of the header. Pages of fences and filter are told apart by what the header says.
void ResealRunPage(std::string& file, uint64_t page);

}  // namespace slipstream::storage::testing

#endif  // SLIPSTREAM_STORAGE_TESTING_SMALL_RUNS_H_
