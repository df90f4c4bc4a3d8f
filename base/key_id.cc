#include "base/key_id.h"

#include <algorithm>

#include "base/check.h"
#include "base/digest.h"

namespace slipstream::base {

KeyId KeyIdOf(absl::string_view key) {
  const Digest digest = Sha256(key);
  KeyId id;
  std::copy_n(digest.bytes.begin(), kKeyIdBytes, id.bytes.begin());
  return id;
}

absl::optional<KeyId> Successor(KeyId id) {
  for (auto byte = id.bytes.rbegin(); byte != id.bytes.rend(); ++byte) {
    if (++*byte != 0) return id;
  }
  return absl::nullopt;
}

KeyPrefix MakePrefix(const KeyId& id, int bit_count) {
  SLIP_CHECK(bit_count >= 0);
  SLIP_CHECK(bit_count <= kKeyIdBits);
  KeyPrefix prefix{.bits = id, .bit_count = bit_count};
  const size_t whole_bytes = static_cast<size_t>(bit_count / 8);
  if (whole_bytes < kKeyIdBytes) {
    const int rest = bit_count % 8;
    prefix.bits.bytes[whole_bytes] &= static_cast<uint8_t>(0xff00 >> rest);
    std::fill(prefix.bits.bytes.begin() + whole_bytes + 1, prefix.bits.bytes.end(), uint8_t{0});
  }
  return prefix;
}

KeyPrefix ExtendPrefix(const KeyPrefix& prefix, uint32_t suffix, int width) {
  SLIP_CHECK(width >= 0);
  SLIP_CHECK(width <= 8);
  SLIP_CHECK(prefix.bit_count + width <= kKeyIdBits);
  KeyPrefix child{.bits = prefix.bits, .bit_count = prefix.bit_count + width};
  for (int i = 0; i < width; ++i) {
    const int index = prefix.bit_count + i;
    const uint32_t bit = (suffix >> (width - 1 - i)) & 1;
    child.bits.bytes[index / 8] |= static_cast<uint8_t>(bit << (7 - index % 8));
  }
  return child;
}

KeyRange RangeOf(const KeyPrefix& prefix) {
  KeyRange range{.first = prefix.bits, .last = prefix.bits};
  const size_t whole_bytes = static_cast<size_t>(prefix.bit_count / 8);
  if (whole_bytes < kKeyIdBytes) {
    range.last.bytes[whole_bytes] |= static_cast<uint8_t>(0xff >> (prefix.bit_count % 8));
    std::fill(range.last.bytes.begin() + whole_bytes + 1, range.last.bytes.end(), uint8_t{0xff});
  }
  return range;
}

bool HasPrefix(const KeyId& id, const KeyPrefix& prefix) {
  return MakePrefix(id, prefix.bit_count) == prefix;
}

std::string ToString(const KeyPrefix& prefix) {
  std::string text;
  for (int i = 0; i < prefix.bit_count; ++i) text.push_back(prefix.bits.bit(i) != 0 ? '1' : '0');
  return text;
}

}  // namespace slipstream::base
