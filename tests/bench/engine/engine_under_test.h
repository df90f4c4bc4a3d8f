// EngineUnderTest: what engine_compare asks of every engine, no more: puts, gets, and the end of a
// timed part. Each engine does it as its own users would, which its .cc says.
#ifndef SLIPSTREAM_TESTS_BENCH_ENGINE_ENGINE_UNDER_TEST_H_
#define SLIPSTREAM_TESTS_BENCH_ENGINE_ENGINE_UNDER_TEST_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"

namespace slipstream::bench {

enum class Durability {
  kNone,     // A put is acknowledged before it is on disk.
  kEveryPut  // Put returns when the write survives a power cut.
};

struct EngineOptions {
  std::string directory;  // Exists; empty unless the store was made there before.
  size_t key_count = 0;   // The most that will be stored: hash stores size their tables by it.
  size_t value_bytes = 0;
  bool is_compressible = false;  // Whether the values are: engines that must be told are.
  Durability durability = Durability::kNone;
  uint64_t cache_bytes = 0;         // For engines with a cache of their own; 0: none, or the least.
  uint64_t memory_limit_bytes = 0;  // For everything together; 0: none.
  bool keeps_tree = true;           // For the one engine that has a Merkle tree.
};

struct KeyValue {
  absl::string_view key;
  absl::string_view value;
};

// What an engine tells about itself, where it can.
struct EngineFigures {
  bool reads_are_direct = false;             // A read that no cache answers reaches the device.
  absl::optional<uint64_t> index_bytes;      // Memory of all that grows with the keys.
  absl::optional<uint64_t> cache_hit_count;  // Gets that the value cache answered.
  absl::optional<uint64_t> hot_key_count;    // Keys whose place is known without a disk read.
  absl::optional<uint64_t> compacted_bytes;  // Moved by compaction so far.
};

// One thread's way into an engine. Not thread-safe.
class EngineSession {
 public:
  virtual ~EngineSession() = default;

  virtual absl::Status Put(absl::string_view key, absl::string_view value) = 0;
  // The value, which lives until the next call on this session, so that an engine that can show it
  // where it lies may. NOT_FOUND.
  virtual absl::StatusOr<absl::string_view> Get(absl::string_view key) = 0;
  // Fills the store before what is timed: at most 500 pairs, in one batch where the engine has
  // batches.
  virtual absl::Status PutMany(absl::Span<const KeyValue> pairs) {
    for (const KeyValue& pair : pairs) {
      if (absl::Status status = Put(pair.key, pair.value); !status.ok()) return status;
    }
    return absl::OkStatus();
  }
};

// Thread-safe. UNIMPLEMENTED says that the engine cannot do what is asked.
class EngineUnderTest {
 public:
  virtual ~EngineUnderTest() = default;

  // The engine must outlive its sessions.
  virtual std::unique_ptr<EngineSession> NewSession() = 0;
  // Ends a timed part: what was put has left the process's memory for the operating system, and
  // whatever the engine derives from it on every write path is up to date.
  virtual absl::Status Settle() { return absl::OkStatus(); }
  // Gives back the space of what was overwritten, as far as the engine does that at all; returns
  // when nothing is left to do.
  virtual absl::Status Compact() { return absl::OkStatus(); }
  // Whether the engine may compact while it is in use; it may, until told otherwise.
  virtual absl::Status SetCompaction(bool /*is_on*/) {
    return absl::UnimplementedError("it compacts when it likes, or not at all");
  }
  virtual absl::Status Close() = 0;

  virtual EngineFigures figures() { return {}; }
  // A digest of all it holds; empty if it has none.
  virtual std::string Root() { return ""; }
};

}  // namespace slipstream::bench

#endif  // SLIPSTREAM_TESTS_BENCH_ENGINE_ENGINE_UNDER_TEST_H_
