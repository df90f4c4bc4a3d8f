// KeyId: where a key stands in the one order that all parts share, and ranges of that order.
//
// The KeyDir, the Merkle tree, repair sessions and scans are all ordered by key_id, the first 20
// bytes of SHA-256(key). Bit 0 is the highest bit of the first byte. The first byte is the shard.
#ifndef SLIPSTREAM_BASE_KEY_ID_H_
#define SLIPSTREAM_BASE_KEY_ID_H_

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/optional.h"

namespace slipstream::base {

inline constexpr size_t kKeyIdBytes = 20;
inline constexpr int kKeyIdBits = 160;
inline constexpr int kShardCount = 256;

// A key's place in the order. Compares bytewise, first byte first.
struct KeyId {
  std::array<uint8_t, kKeyIdBytes> bytes = {};

  uint8_t shard() const { return bytes[0]; }
  // Returns bit `index`, 0 <= index < kKeyIdBits.
  int bit(int index) const { return (bytes[index / 8] >> (7 - index % 8)) & 1; }
  absl::string_view view() const {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  friend auto operator<=>(const KeyId&, const KeyId&) = default;
};

// Returns the key_id of `key`. Thread-safe.
KeyId KeyIdOf(absl::string_view key);

// Returns the key_id after `id`; nullopt after the greatest.
absl::optional<KeyId> Successor(KeyId id);

// A closed interval of key_ids: first <= id <= last. Never empty.
struct KeyRange {
  KeyId first;
  KeyId last;
  friend bool operator==(const KeyRange&, const KeyRange&) = default;
};

// The leading `bit_count` bits of some key_ids: a subtree of the Merkle tree. Bits of `bits` at and
// after `bit_count` are zero, always: `MakePrefix` sees to it.
struct KeyPrefix {
  KeyId bits;
  int bit_count = 0;  // 0 to kKeyIdBits.
  friend bool operator==(const KeyPrefix&, const KeyPrefix&) = default;
};

// Returns the prefix made of the first `bit_count` bits of `id`, 0 <= bit_count <= kKeyIdBits.
KeyPrefix MakePrefix(const KeyId& id, int bit_count);

// Returns the child of `prefix` that continues with the low `width` bits of `suffix`, highest of
// them first. prefix.bit_count + width <= kKeyIdBits, width <= 8.
KeyPrefix ExtendPrefix(const KeyPrefix& prefix, uint32_t suffix, int width);

// Returns all ids that start with `prefix`.
KeyRange RangeOf(const KeyPrefix& prefix);

// Returns whether `id` starts with `prefix`.
bool HasPrefix(const KeyId& id, const KeyPrefix& prefix);

// Returns the bits as '0' and '1', for messages and tests.
std::string ToString(const KeyPrefix& prefix);

}  // namespace slipstream::base

#endif  // SLIPSTREAM_BASE_KEY_ID_H_
