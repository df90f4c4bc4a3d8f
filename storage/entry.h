// The value types that the engine gives and takes: mutations, records, entries.
#ifndef SLIPSTREAM_STORAGE_ENTRY_H_
#define SLIPSTREAM_STORAGE_ENTRY_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/digest.h"
#include "base/key_id.h"
#include "base/version.h"

namespace slipstream::storage {

// A position in the node's log: 1 for its first record, counting records. 0 is before all.
using Lsn = uint64_t;
// What depends on it never becomes durable: the engine has failed.
inline constexpr Lsn kNeverDurable = ~Lsn{0};

// What a client asks to be done to one key. The views must live as long as the call they go to.
struct Mutation {
  enum class Kind : uint8_t { kPut, kDelete };
  Kind kind = Kind::kPut;
  absl::string_view key;
  absl::string_view value;     // Empty for kDelete.
  uint64_t expires_at_ms = 0;  // Unix milliseconds; 0: never. 0 for kDelete.
};

// Whether what expires at `expires_at_ms` is no longer to be shown at `now`.
inline bool IsExpired(uint64_t expires_at_ms, absl::Time now) {
  const int64_t now_ms = absl::ToUnixMillis(now);
  return expires_at_ms != 0 && now_ms >= 0 && static_cast<uint64_t>(now_ms) >= expires_at_ms;
}

// Whether several mutations or records become visible and durable together or each for itself.
enum class Atomicity { kEach, kAll };

// The current record of one key with all its bytes: what one replica hands to another. A deleted
// key has one too (a tombstone, with an empty value).
struct Record {
  std::string key;
  std::string value;
  base::Version version;
  uint64_t sequence = 0;       // Of the dot (version.actor, shard of the key, sequence); from 1.
  uint64_t expires_at_ms = 0;  // Unix milliseconds; 0: never.
  bool tombstone = false;
  friend bool operator==(const Record&, const Record&) = default;
};

// What the KeyDir knows of one key without a look at the disk.
struct Entry {
  base::KeyId key_id;
  base::Version version;
  uint64_t sequence = 0;
  uint64_t expires_at_ms = 0;
  base::ValueDigest value_digest;
  uint32_t record_bytes = 0;  // The stored record's length: header, key, value.
  bool tombstone = false;
  friend bool operator==(const Entry&, const Entry&) = default;
};

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_ENTRY_H_
