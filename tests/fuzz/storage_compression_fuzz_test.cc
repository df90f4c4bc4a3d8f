// A stored value from hostile bytes. The first byte chooses the codec, the next four are raw_bytes,
// and the rest is decoded as that: what comes out is what the header tells, or DATA_LOSS. Then the
// rest, taken as a raw value, must come back under every policy.

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/check.h"
#include "base/coding.h"
#include "base/digest.h"
#include "storage/compression.h"
#include "storage/options.h"
#include "storage/record.h"

namespace slipstream::storage {
namespace {

constexpr size_t kPrefixBytes = 1 + sizeof(uint32_t);

void CheckHostile(const RecordHeader& header, absl::string_view stored) {
  const absl::StatusOr<std::string> raw = DecompressValue(header, stored);
  if (!raw.ok()) {
    SLIP_CHECK(raw.status().code() == absl::StatusCode::kDataLoss);
    return;
  }
  SLIP_CHECK(raw->size() == header.raw_bytes);
  SLIP_CHECK(base::DigestOfValue(*raw) == header.value_digest);
}

void CheckThereAndBack(absl::string_view raw, Compression policy) {
  const StoredValue stored = CompressValue(raw, policy);
  const RecordHeader header{.codec = stored.codec,
                            .raw_bytes = static_cast<uint32_t>(raw.size()),
                            .value_digest = base::DigestOfValue(raw)};
  const bool as_is = stored.codec == Codec::kNone;
  SLIP_CHECK(as_is == stored.bytes.empty());
  SLIP_CHECK(as_is || stored.bytes.size() * 8 <= raw.size() * 7);
  const absl::StatusOr<std::string> back = DecompressValue(header, as_is ? raw : stored.bytes);
  SLIP_CHECK_OK(back.status());
  SLIP_CHECK(*back == raw);
}

}  // namespace
}  // namespace slipstream::storage

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using slipstream::storage::kPrefixBytes;
  if (size < kPrefixBytes) return 0;
  const absl::string_view rest(reinterpret_cast<const char*>(data) + kPrefixBytes,
                               size - kPrefixBytes);
  const slipstream::storage::RecordHeader header{
      .codec = static_cast<slipstream::storage::Codec>(data[0] % 3),
      .raw_bytes = slipstream::base::LoadLittle<uint32_t>(data + 1)};
  slipstream::storage::CheckHostile(header, rest);
  using slipstream::storage::Compression;
  for (const Compression policy :
       {Compression::kAuto, Compression::kNone, Compression::kLz4, Compression::kZstd}) {
    slipstream::storage::CheckThereAndBack(rest, policy);
  }
  return 0;
}
