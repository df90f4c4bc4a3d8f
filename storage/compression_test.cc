#include "storage/compression.h"

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/digest.h"
#include "base/random.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/ceilings.h"
#include "storage/options.h"
#include "storage/record.h"

namespace slipstream::storage {
namespace {

using base::testing::StatusIs;
using ::testing::HasSubstr;

constexpr Compression kCompressing[] = {Compression::kAuto, Compression::kLz4, Compression::kZstd};

std::string Noise(size_t count) { return base::Random(count).Bytes(count); }

// Bytes of which the first `noise_bytes` gain nothing and the rest everything.
std::string Mixed(size_t noise_bytes, size_t bytes) {
  return Noise(noise_bytes) + std::string(bytes - noise_bytes, 'a');
}

// Returns text whose words come again, as JSON's do.
std::string Text(size_t bytes) {
  base::Random rng(bytes);
  std::string text;
  while (text.size() < bytes) {
    absl::StrAppend(&text, "{\"user\":", rng.Below(100'000), ",\"name\":\"n", rng.Below(100),
                    "\"}");
  }
  text.resize(bytes);
  return text;
}

// Returns letters of an alphabet of 16 in which nothing comes again: LZ4 finds nothing, zstd half.
std::string Hex(size_t bytes) {
  base::Random rng(bytes);
  std::string text(bytes, '0');
  for (char& letter : text) letter = "0123456789abcdef"[rng.Below(16)];
  return text;
}

RecordHeader HeaderFor(absl::string_view raw, Codec codec) {
  return {.codec = codec,
          .raw_bytes = static_cast<uint32_t>(raw.size()),
          .value_digest = base::DigestOfValue(raw)};
}

// Returns `raw` after the way there and back.
absl::StatusOr<std::string> ThereAndBack(absl::string_view raw, Compression policy) {
  const StoredValue stored = CompressValue(raw, policy);
  return DecompressValue(HeaderFor(raw, stored.codec),
                         stored.codec == Codec::kNone ? raw : stored.bytes);
}

TEST(CompressionTest, EveryValueComesBack) {
  for (const Compression policy :
       {Compression::kAuto, Compression::kNone, Compression::kLz4, Compression::kZstd}) {
    for (const size_t bytes :
         {0, 1, 63, 64, 65, 1000, 4095, 4096, 4097, 65535, 65536, 65537, 1 << 20}) {
      for (const std::string& raw : {std::string(bytes, '\0'), Text(bytes), Hex(bytes),
                                     Noise(bytes), Mixed(bytes / 2, bytes)}) {
        ASSERT_OK_AND_ASSIGN(const std::string back, ThereAndBack(raw, policy));
        ASSERT_TRUE(back == raw) << bytes << " bytes, policy " << static_cast<int>(policy);
      }
    }
  }
}

TEST(CompressionTest, TheLongestValueComesBack) {
  for (const Compression policy : kCompressing) {
    const std::string raw = Mixed(kValueBytesCeiling / 2, kValueBytesCeiling);
    EXPECT_NE(CompressValue(raw, policy).codec, Codec::kNone);
    ASSERT_OK_AND_ASSIGN(const std::string back, ThereAndBack(raw, policy));
    EXPECT_TRUE(back == raw);
  }
}

TEST(CompressionTest, NothingBelow64Bytes) {
  for (const Compression policy : kCompressing) {
    EXPECT_EQ(CompressValue(std::string(63, 'a'), policy).codec, Codec::kNone);
    EXPECT_NE(CompressValue(std::string(64, 'a'), policy).codec, Codec::kNone);
  }
}

TEST(CompressionTest, NothingThatGainsLessThanOneEighth) {
  for (const Compression policy : kCompressing) {
    for (const size_t bytes : {size_t{800}, size_t{8000}, size_t{80'000}}) {
      for (size_t noise_bytes = bytes / 8 * 6; noise_bytes <= bytes; noise_bytes += bytes / 800) {
        SCOPED_TRACE(absl::StrCat(noise_bytes, " of ", bytes, " bytes are noise"));
        const StoredValue stored = CompressValue(Mixed(noise_bytes, bytes), policy);
        ASSERT_LE(stored.bytes.size(), bytes / 8 * 7);
        // Noise takes its own length and a little more, and what follows next to nothing.
        if (noise_bytes > bytes / 8 * 7) ASSERT_EQ(stored.codec, Codec::kNone);
        if (noise_bytes + 64 + bytes / 128 < bytes / 8 * 7) ASSERT_NE(stored.codec, Codec::kNone);
      }
    }
  }
}

TEST(CompressionTest, PoliciesTakeTheirOwnCodec) {
  const std::string text = Text(10'000);
  EXPECT_EQ(CompressValue(text, Compression::kNone).codec, Codec::kNone);
  EXPECT_EQ(CompressValue(text, Compression::kLz4).codec, Codec::kLz4);
  EXPECT_EQ(CompressValue(text, Compression::kZstd).codec, Codec::kZstd);
}

TEST(CompressionTest, AutoTakesWhatGainsMore) {
  // Too short for zstd.
  EXPECT_EQ(CompressValue(Text(4095), Compression::kAuto).codec, Codec::kLz4);
  EXPECT_EQ(CompressValue(Hex(4095), Compression::kAuto).codec, Codec::kNone);
  // zstd's gain is by far the greater one.
  EXPECT_EQ(CompressValue(Text(4096), Compression::kAuto).codec, Codec::kZstd);
  EXPECT_EQ(CompressValue(Hex(4096), Compression::kAuto).codec, Codec::kZstd);
  // Noise and one copy of it: zstd finds no more than LZ4, which is quicker to read.
  EXPECT_EQ(CompressValue(Noise(4096) + Noise(4096), Compression::kAuto).codec, Codec::kLz4);
  EXPECT_EQ(CompressValue(Noise(1 << 16), Compression::kAuto).codec, Codec::kNone);
}

TEST(CompressionTest, WhatWasCompressedBeforeMakesNoDifference) {
  const std::string text = Text(2000);
  const std::string first = CompressValue(text, Compression::kAuto).bytes;
  const std::string first_zstd = CompressValue(text, Compression::kZstd).bytes;
  for (size_t bytes = 64; bytes < 70'000; bytes = bytes * 3 / 2) {
    CompressValue(Text(bytes), Compression::kAuto);
    CompressValue(Noise(bytes), Compression::kAuto);
    ASSERT_TRUE(CompressValue(text, Compression::kAuto).bytes == first);
    ASSERT_TRUE(CompressValue(text, Compression::kZstd).bytes == first_zstd);
  }
}

TEST(DecompressValueTest, RefusesALengthBeyondTheCeilingBeforeItDecodes) {
  const std::string zeros(kValueBytesCeiling, '\0');
  for (const Compression policy : {Compression::kLz4, Compression::kZstd}) {
    const StoredValue stored = CompressValue(zeros, policy);
    RecordHeader header = HeaderFor(zeros, stored.codec);
    EXPECT_OK(DecompressValue(header, stored.bytes));
    ++header.raw_bytes;
    EXPECT_THAT(DecompressValue(header, stored.bytes),
                StatusIs(absl::StatusCode::kDataLoss, HasSubstr("more than 8388608")));
    header.raw_bytes = UINT32_MAX;
    EXPECT_THAT(DecompressValue(header, stored.bytes),
                StatusIs(absl::StatusCode::kDataLoss, HasSubstr("4294967295 raw")));
  }
}

TEST(DecompressValueTest, RefusesAnotherLengthThanTheRecordTells) {
  const std::string text = Text(5000);
  for (const Compression policy : {Compression::kLz4, Compression::kZstd}) {
    const StoredValue stored = CompressValue(text, policy);
    for (const uint32_t raw_bytes : {0, 1, 4999, 5001, 10'000}) {
      RecordHeader header = HeaderFor(text, stored.codec);
      header.raw_bytes = raw_bytes;
      EXPECT_THAT(DecompressValue(header, stored.bytes), StatusIs(absl::StatusCode::kDataLoss))
          << raw_bytes;
    }
  }
}

TEST(DecompressValueTest, RefusesAnotherValueThanTheDigestTells) {
  const std::string text = Text(5000);
  for (const Compression policy : {Compression::kNone, Compression::kLz4, Compression::kZstd}) {
    const StoredValue stored = CompressValue(text, policy);
    RecordHeader header = HeaderFor(text, stored.codec);
    header.value_digest = base::DigestOfValue("another");
    EXPECT_THAT(DecompressValue(header, stored.codec == Codec::kNone ? text : stored.bytes),
                StatusIs(absl::StatusCode::kDataLoss, HasSubstr("than its digest tells")));
  }
}

TEST(DecompressValueTest, EveryCutAndManyFlippedBitsAreFound) {
  const std::string text = Text(3000);
  for (const Compression policy : {Compression::kLz4, Compression::kZstd}) {
    const StoredValue stored = CompressValue(text, policy);
    const RecordHeader header = HeaderFor(text, stored.codec);
    for (size_t count = 0; count < stored.bytes.size(); ++count) {
      ASSERT_THAT(DecompressValue(header, stored.bytes.substr(0, count)),
                  StatusIs(absl::StatusCode::kDataLoss))
          << count;
    }
    for (size_t bit = 0; bit < stored.bytes.size() * 8; ++bit) {
      std::string bytes = stored.bytes;
      bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
      // A flag that changes nothing about what is decoded may pass.
      if (const absl::StatusOr<std::string> raw = DecompressValue(header, bytes); raw.ok()) {
        ASSERT_TRUE(*raw == text) << bit;
      } else {
        ASSERT_THAT(raw, StatusIs(absl::StatusCode::kDataLoss)) << bit;
      }
    }
  }
}

}  // namespace
}  // namespace slipstream::storage
