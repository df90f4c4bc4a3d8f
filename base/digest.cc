#include "base/digest.h"

#include <openssl/evp.h>

#include <algorithm>
#include <memory>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "base/check.h"

namespace slipstream::base {
namespace {

struct ContextDeleter {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

// Fetched once for the process: fetching costs more than hashing a short message. Never freed, so
// that hashing stays valid while other static objects are destroyed.
const EVP_MD* FetchedSha256() {
  static const EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  SLIP_CHECK(algorithm != nullptr);
  return algorithm;
}

}  // namespace

Digest Sha256(absl::string_view bytes) {
  // One context per thread, re-used: allocating one costs three times the hashing. It carries
  // nothing from one call to the next.
  thread_local const std::unique_ptr<EVP_MD_CTX, ContextDeleter> context(EVP_MD_CTX_new());
  Digest digest;
  unsigned int written = 0;
  SLIP_CHECK(EVP_DigestInit_ex2(context.get(), FetchedSha256(), nullptr) == 1);
  SLIP_CHECK(EVP_DigestUpdate(context.get(), bytes.data(), bytes.size()) == 1);
  SLIP_CHECK(EVP_DigestFinal_ex(context.get(), digest.bytes.data(), &written) == 1);
  SLIP_CHECK(written == digest.bytes.size());
  return digest;
}

ValueDigest DigestOfValue(absl::string_view value) {
  const Digest digest = Sha256(value);
  ValueDigest result;
  std::copy_n(digest.bytes.begin(), result.bytes.size(), result.bytes.begin());
  return result;
}

std::string ToHex(const Digest& digest) { return absl::BytesToHexString(digest.view()); }

bool FromHex(absl::string_view hex, Digest& digest) {
  if (hex.size() != 2 * digest.bytes.size()) return false;
  if (!std::all_of(hex.begin(), hex.end(), absl::ascii_isxdigit)) return false;
  const std::string bytes = absl::HexStringToBytes(hex);
  std::copy(bytes.begin(), bytes.end(), digest.bytes.begin());
  return true;
}

}  // namespace slipstream::base
