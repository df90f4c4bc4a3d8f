#include "merkle/leaf.h"

#include <array>
#include <cstring>

#include "absl/strings/string_view.h"
#include "base/coding.h"

namespace slipstream::merkle {
namespace {

// The first hashed byte. They differ, so that no leaf can be passed off as a node or the reverse.
constexpr char kLeafTag = 0x00;
constexpr char kNodeTag = 0x01;

constexpr size_t kVersionAt = 1 + base::kKeyIdBytes;
constexpr size_t kExpiresAt = kVersionAt + 16;
constexpr size_t kValueDigestAt = kExpiresAt + 8;
constexpr size_t kLeafBytes = kValueDigestAt + sizeof(base::ValueDigest);
constexpr size_t kNodeBytes = 1 + 2 * sizeof(base::Digest);
static_assert(kLeafBytes == 65);
static_assert(kNodeBytes == 65);

}  // namespace

base::Digest DigestOfLeaf(const Leaf& leaf) {
  std::array<char, kLeafBytes> input;
  input[0] = kLeafTag;
  std::memcpy(&input[1], leaf.key_id.bytes.data(), base::kKeyIdBytes);
  base::StoreBig64(leaf.version.hlc, &input[kVersionAt]);
  base::StoreBig64(static_cast<uint64_t>(leaf.version.actor), &input[kVersionAt + 8]);
  base::StoreBig64(leaf.expires_at_ms, &input[kExpiresAt]);
  std::memcpy(&input[kValueDigestAt], leaf.value_digest.bytes.data(), sizeof(base::ValueDigest));
  return base::Sha256(absl::string_view(input.data(), input.size()));
}

base::Digest DigestOfNode(const base::Digest& left, const base::Digest& right) {
  std::array<char, kNodeBytes> input;
  input[0] = kNodeTag;
  std::memcpy(&input[1], left.bytes.data(), sizeof(base::Digest));
  std::memcpy(&input[1 + sizeof(base::Digest)], right.bytes.data(), sizeof(base::Digest));
  return base::Sha256(absl::string_view(input.data(), input.size()));
}

}  // namespace slipstream::merkle
