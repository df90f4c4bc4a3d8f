// WriteStream: the writes of one transaction that went to the log ahead of its Commit.
//
// Engine::Stream appends them; nobody else sees any of them before Engine::CommitStream, and after
// Engine::RollBackStream, or a crash, nobody ever does. How that is told in the log:
// stream_commit.h. Transaction (transaction.h) is what clients use.
#ifndef SLIPSTREAM_STORAGE_WRITE_STREAM_H_
#define SLIPSTREAM_STORAGE_WRITE_STREAM_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/digest.h"
#include "base/key_id.h"
#include "storage/engine.h"
#include "storage/keydir.h"
#include "storage/keydir_shard.h"

namespace slipstream::storage {

// A write in the log, and what its entry will say. Its number in the stream is its place in
// WriteStream::records, counted from 1.
struct StreamedRecord {
  base::KeyId key_id;
  Location location;
  uint64_t sequence = 0;  // Its number among those of its shard, from 1.
  uint64_t expires_at_ms = 0;
  base::ValueDigest value_digest;
  uint32_t record_bytes = 0;  // In the log.
  uint32_t stored_bytes = 0;  // Of the value.
  uint32_t raw_bytes = 0;
  bool tombstone = false;
};

// Made by its owner, filled by the engine, which must be there as long as it is not over. Not
// thread-safe. Rolled back when destroyed, unless it is over.
struct WriteStream {
  explicit WriteStream(Engine* engine) : engine(engine) {}
  ~WriteStream() {
    if (state != State::kOver) engine->RollBackStream(*this);
  }
  WriteStream(const WriteStream&) = delete;
  WriteStream& operator=(const WriteStream&) = delete;

  enum class State : uint8_t {
    kOpen,
    kFailed,  // A write did not reach the log: it can only be rolled back.
    kOver,    // Committed or rolled back.
  };

  Engine* const engine;
  State state = State::kOpen;
  uint64_t tx_id = 0;  // 0: nothing was streamed.
  uint64_t bytes = 0;  // Of keys and values.
  StripeMask stripes = 0;
  std::vector<StreamedRecord> records;                         // In the order of the log.
  std::array<uint32_t, base::kShardCount> record_counts = {};  // By shard.
};

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_WRITE_STREAM_H_
