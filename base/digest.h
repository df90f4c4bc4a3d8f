// SHA-256 and the fixed-size digests made of it. The one place that hashes cryptographically.
#ifndef SLIPSTREAM_BASE_DIGEST_H_
#define SLIPSTREAM_BASE_DIGEST_H_

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace slipstream::base {

// A 32-byte SHA-256 digest. All zeros stands for "nothing there" in the Merkle tree.
struct Digest {
  std::array<uint8_t, 32> bytes = {};

  bool is_zero() const { return bytes == std::array<uint8_t, 32>{}; }
  absl::string_view view() const {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  friend auto operator<=>(const Digest&, const Digest&) = default;
};

// The first 20 bytes of SHA-256 of a value's raw bytes. All zeros in a tombstone.
struct ValueDigest {
  std::array<uint8_t, 20> bytes = {};

  absl::string_view view() const {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  friend auto operator<=>(const ValueDigest&, const ValueDigest&) = default;
};

// Returns SHA-256 of `bytes`. Thread-safe; costs about 120 ns for short input.
Digest Sha256(absl::string_view bytes);

// Returns the digest of a raw value (not of its compressed form). Thread-safe.
ValueDigest DigestOfValue(absl::string_view value);

// Returns 64 lower-case hexadecimal digits.
std::string ToHex(const Digest& digest);

// Parses 64 hexadecimal digits of either case into `digest`; returns false, leaving `digest` alone,
// if `hex` is anything else.
bool FromHex(absl::string_view hex, Digest& digest);

}  // namespace slipstream::base

#endif  // SLIPSTREAM_BASE_DIGEST_H_
