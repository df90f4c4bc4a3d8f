#include "storage/compression.h"

#include <lz4.h>
#include <zstd.h>

#include <array>
#include <bitset>
#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "base/digest.h"
#include "storage/ceilings.h"

namespace slipstream::storage {
namespace {

constexpr int kZstdLevel = 1;
// Values up to here are compressed into the thread's buffer with the thread's LZ4 state, as setting
// one up costs more than compressing them.
constexpr size_t kSmallRawBytesMax = 64 << 10;
// Of 256 random bytes about 162 are distinct, and fewer than 128 never; of text about 40, of base64
// 64 at most.
constexpr size_t kSampleBytes = 256;
constexpr size_t kSampleDistinctMax = 128;

static_assert(kValueBytesCeiling <= LZ4_MAX_INPUT_SIZE);
static_assert(kSampleBytes <= kZstdRawBytesMin);

struct FreeZstd {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

// What the libraries work in, kept for the next value. Setting up an LZ4 or zstd context for each
// value would cost more than most values take. One per thread and not per engine, since values are
// compressed before any lock is taken; it carries nothing from one call to the next that a caller
// could see. About 100 KiB per thread that writes, and up to 1.5 MiB with zstd on large values.
struct Scratch {
  Scratch() { LZ4_initStream(&lz4, sizeof(lz4)); }

  LZ4_stream_t lz4;
  std::array<char, LZ4_COMPRESSBOUND(kSmallRawBytesMax)> small;
  // May be null: then there is no memory, and values are stored as they are, or not read.
  std::unique_ptr<ZSTD_CCtx, FreeZstd> compressing{ZSTD_createCCtx()};
  std::unique_ptr<ZSTD_DCtx, FreeZstd> decompressing{ZSTD_createDCtx()};
};

Scratch& ScratchOfThread() {
  thread_local const std::unique_ptr<Scratch> scratch = std::make_unique<Scratch>();
  return *scratch;
}

// Returns the longest form that gains enough against `bytes`.
size_t WorthwhileBytes(size_t bytes) { return bytes - (bytes + kGainDivisor - 1) / kGainDivisor; }

// Returns `raw` encoded in at most `bytes_max` bytes; nothing if it does not fit.
std::string CompressLz4(absl::string_view raw, size_t bytes_max) {
  const int raw_bytes = static_cast<int>(raw.size());
  if (raw.size() > kSmallRawBytesMax) {
    std::string bytes(bytes_max, '\0');
    const int count =
        LZ4_compress_default(raw.data(), bytes.data(), raw_bytes, static_cast<int>(bytes.size()));
    bytes.resize(static_cast<size_t>(count));
    return bytes;
  }
  // The buffer has room for any outcome: an encoding that ran out of room would leave the state
  // undefined.
  Scratch& scratch = ScratchOfThread();
  LZ4_resetStream_fast(&scratch.lz4);
  const int count =
      LZ4_compress_fast_continue(&scratch.lz4, raw.data(), scratch.small.data(), raw_bytes,
                                 static_cast<int>(scratch.small.size()), /*acceleration=*/1);
  if (count <= 0 || static_cast<size_t>(count) > bytes_max) return "";
  return {scratch.small.data(), static_cast<size_t>(count)};
}

std::string CompressZstd(absl::string_view raw, size_t bytes_max) {
  ZSTD_CCtx* const context = ScratchOfThread().compressing.get();
  if (context == nullptr) return "";
  std::string bytes(bytes_max, '\0');
  const size_t count =
      ZSTD_compressCCtx(context, bytes.data(), bytes.size(), raw.data(), raw.size(), kZstdLevel);
  bytes.resize(ZSTD_isError(count) != 0 ? 0 : count);
  return bytes;
}

// Returns whether some bytes are so much more frequent than others that coding them by frequency
// may gain, though nothing repeats. Looks at bytes from all over the value.
bool LooksUneven(absl::string_view raw) {
  std::bitset<256> seen;
  const size_t step = raw.size() / kSampleBytes;
  for (size_t i = 0; i < kSampleBytes; ++i) seen.set(static_cast<uint8_t>(raw[i * step]));
  return seen.count() < kSampleDistinctMax;
}

StoredValue CompressAuto(absl::string_view raw, size_t bytes_max) {
  StoredValue stored{.codec = Codec::kLz4, .bytes = CompressLz4(raw, bytes_max)};
  const bool gained = !stored.bytes.empty();
  if (!gained) stored.codec = Codec::kNone;
  if (raw.size() < kZstdRawBytesMin || (!gained && !LooksUneven(raw))) return stored;
  const size_t zstd_bytes_max = gained ? WorthwhileBytes(stored.bytes.size()) : bytes_max;
  std::string bytes = CompressZstd(raw, zstd_bytes_max);
  if (!bytes.empty()) stored = {.codec = Codec::kZstd, .bytes = std::move(bytes)};
  return stored;
}

// Decodes into `raw`, all of which must be filled; returns what is wrong, or nothing.
std::string Decode(Codec codec, absl::string_view stored, std::string& raw) {
  if (codec == Codec::kLz4) {
    const int count = LZ4_decompress_safe(
        stored.data(), raw.data(), static_cast<int>(stored.size()), static_cast<int>(raw.size()));
    if (count < 0) return absl::StrFormat("LZ4 does not decode (%d)", count);
    if (static_cast<size_t>(count) == raw.size()) return "";
    return absl::StrFormat("LZ4 decodes to %d bytes, not %d", count, raw.size());
  }
  ZSTD_DCtx* const context = ScratchOfThread().decompressing.get();
  if (context == nullptr) return "no memory for zstd";
  const size_t count =
      ZSTD_decompressDCtx(context, raw.data(), raw.size(), stored.data(), stored.size());
  if (ZSTD_isError(count) != 0) {
    return absl::StrFormat("zstd does not decode (%s)", ZSTD_getErrorName(count));
  }
  if (count == raw.size()) return "";
  return absl::StrFormat("zstd decodes to %d bytes, not %d", count, raw.size());
}

}  // namespace

StoredValue CompressValue(absl::string_view raw, Compression policy) {
  if (raw.size() < kCompressedRawBytesMin) return {};
  const size_t bytes_max = WorthwhileBytes(raw.size());
  StoredValue stored;
  switch (policy) {
    case Compression::kNone:
      return {};
    case Compression::kAuto:
      return CompressAuto(raw, bytes_max);
    case Compression::kLz4:
      stored = {.codec = Codec::kLz4, .bytes = CompressLz4(raw, bytes_max)};
      break;
    case Compression::kZstd:
      stored = {.codec = Codec::kZstd, .bytes = CompressZstd(raw, bytes_max)};
      break;
  }
  if (stored.bytes.empty()) stored.codec = Codec::kNone;
  return stored;
}

absl::StatusOr<std::string> DecompressValue(const RecordHeader& header, absl::string_view stored) {
  if (header.raw_bytes > kValueBytesCeiling || stored.size() > kValueBytesCeiling) {
    return absl::DataLossError(absl::StrFormat("value of %d raw and %d stored bytes, more than %d",
                                               header.raw_bytes, stored.size(),
                                               kValueBytesCeiling));
  }
  std::string raw;
  switch (header.codec) {
    case Codec::kNone:
      raw = std::string(stored);
      break;
    case Codec::kLz4:
    case Codec::kZstd: {
      raw.resize(header.raw_bytes);
      const std::string problem = Decode(header.codec, stored, raw);
      if (!problem.empty()) return absl::DataLossError(problem);
      break;
    }
  }
  // The record's checksum vouches for the stored bytes only.
  if (raw.size() != header.raw_bytes || base::DigestOfValue(raw) != header.value_digest) {
    return absl::DataLossError(
        absl::StrFormat("value decodes to %d other bytes than its digest tells", raw.size()));
  }
  return raw;
}

}  // namespace slipstream::storage
