#include "tests/sim/value.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/coding.h"
#include "base/crc32c.h"
#include "base/key_id.h"
#include "base/random.h"

namespace slipstream::sim {
namespace {

constexpr size_t kIdBytes = 8;
constexpr size_t kCrcBytes = 4;
constexpr size_t kFixedBytes = 2 * kIdBytes + kCrcBytes;

uint64_t KeyMark(absl::string_view key) {
  return base::LoadLittle<uint64_t>(base::KeyIdOf(key).bytes.data());
}

}  // namespace

std::string MakeValue(uint64_t operation_id, absl::string_view key, size_t noise_bytes) {
  std::string value(2 * kIdBytes, '\0');
  base::StoreLittle<uint64_t>(operation_id, value.data());
  base::StoreLittle<uint64_t>(KeyMark(key), value.data() + kIdBytes);
  value += base::Random(operation_id).Bytes(noise_bytes);
  const uint32_t crc = base::Crc32c(value);
  value.append(kCrcBytes, '\0');
  base::StoreLittle<uint32_t>(crc, value.data() + value.size() - kCrcBytes);
  return value;
}

absl::StatusOr<uint64_t> OperationOf(absl::string_view key, absl::string_view value) {
  if (value.size() < kFixedBytes) {
    return absl::DataLossError(absl::StrCat("value of ", value.size(), " bytes: too short"));
  }
  const auto operation_id = base::LoadLittle<uint64_t>(value.data());
  // The whole value follows from its operation's id, so every byte of it is checked.
  if (MakeValue(operation_id, key, value.size() - kFixedBytes) != value) {
    return absl::DataLossError(absl::StrCat("value of ", value.size(),
                                            " bytes is not what operation ", operation_id,
                                            " would have written to this key"));
  }
  return operation_id;
}

}  // namespace slipstream::sim
