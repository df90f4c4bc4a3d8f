// Fixed-width integers as bytes: little-endian for our files, big-endian for what is hashed.
//
// `ByteReader` walks bytes that may be damaged or hostile and never reads past their end.
// Wire messages are Protobuf and do not use this. Layouts: docs/storage_format.md, docs/merkle.md.
#ifndef SLIPSTREAM_BASE_CODING_H_
#define SLIPSTREAM_BASE_CODING_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "absl/strings/string_view.h"

namespace slipstream::base {

static_assert(std::endian::native == std::endian::little,
              "little-endian hosts only: StoreLittle and LoadLittle copy native bytes");

// Writes `value` to the sizeof(T) bytes at `destination`, lowest byte first.
template <typename T>
inline void StoreLittle(T value, void* destination) {
  std::memcpy(destination, &value, sizeof(value));
}

// Reads the sizeof(T) bytes at `source`, lowest byte first.
template <typename T>
inline T LoadLittle(const void* source) {
  T value;
  std::memcpy(&value, source, sizeof(value));
  return value;
}

// Writes `value` to the 8 bytes at `destination`, highest byte first.
inline void StoreBig64(uint64_t value, void* destination) {
  StoreLittle<uint64_t>(__builtin_bswap64(value), destination);
}

// Reads the 8 bytes at `source`, highest byte first.
inline uint64_t LoadBig64(const void* source) {
  return __builtin_bswap64(LoadLittle<uint64_t>(source));
}

// A cursor over bytes it does not own and that must outlive it. A read past the end gives zero or
// an empty view and makes `ok()` false for good, so that a parser may check once, at its end.
// Not thread-safe.
class ByteReader {
 public:
  explicit ByteReader(absl::string_view bytes) : bytes_(bytes) {}

  template <typename T>
  T ReadLittle() {
    const absl::string_view field = ReadBytes(sizeof(T));
    return field.size() == sizeof(T) ? LoadLittle<T>(field.data()) : T{0};
  }

  // Returns a view of the next `count` bytes, valid as long as the bytes read from.
  absl::string_view ReadBytes(size_t count) {
    if (count > bytes_.size()) {
      ok_ = false;
      bytes_ = {};
      return {};
    }
    const absl::string_view field = bytes_.substr(0, count);
    bytes_.remove_prefix(count);
    return field;
  }

  bool ok() const { return ok_; }
  size_t remaining() const { return bytes_.size(); }

 private:
  absl::string_view bytes_;
  bool ok_ = true;
};

}  // namespace slipstream::base

#endif  // SLIPSTREAM_BASE_CODING_H_
