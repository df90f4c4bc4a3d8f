// Compression: the stored form of a value, and the way back.
//
// The only place that knows LZ4 and zstd. A record says which codec made its stored bytes, so a
// store may hold values of all codecs, whatever the policy is now. Digests, limits and what goes to
// peers are about the raw value; a record's checksum is about the stored bytes. Layout:
// docs/storage_format.md.
#ifndef SLIPSTREAM_STORAGE_COMPRESSION_H_
#define SLIPSTREAM_STORAGE_COMPRESSION_H_

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/options.h"
#include "storage/record.h"

namespace slipstream::storage {

// Shorter values are stored as they are: the record's header outweighs what they could gain.
inline constexpr size_t kCompressedRawBytesMin = 64;
// A compressed form that saves less than this part of the value is not worth the decoding.
inline constexpr size_t kGainDivisor = 8;
// From here on kAuto gives zstd a chance as well: a shorter value is one page on disk either way.
inline constexpr size_t kZstdRawBytesMin = 4096;

// How a value is to be stored.
struct StoredValue {
  Codec codec = Codec::kNone;
  std::string bytes;  // Empty for kNone: the raw value is what is stored.
};

// Returns the form in which `policy` stores `raw`, of at most kValueBytesCeiling bytes. kLz4 and
// kZstd take that codec where it gains enough. kAuto tries LZ4; for values of kZstdRawBytesMin and
// more in which LZ4 found something, or whose bytes are unevenly spread, it tries zstd level 1 too,
// and takes that if it is smaller by one kGainDivisor-th again, as it takes longer to decode.
// Depends on nothing but its arguments.
StoredValue CompressValue(absl::string_view raw, Compression policy);

// Returns the raw value of a Put with this header, whose stored bytes are `stored`. Trusts nothing:
// raw_bytes is checked against kValueBytesCeiling before anything is allocated. DATA_LOSS if the
// bytes are no valid encoding, give another number of bytes than raw_bytes, or others than
// value_digest tells.
absl::StatusOr<std::string> DecompressValue(const RecordHeader& header, absl::string_view stored);

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_COMPRESSION_H_
