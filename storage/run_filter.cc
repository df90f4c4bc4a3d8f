#include "storage/run_filter.h"

#include <cstdint>

#include "base/coding.h"

namespace slipstream::storage {
namespace {

constexpr int kBitsPerProbe = 9;
constexpr uint64_t kProbeMask = (1 << kBitsPerProbe) - 1;

static_assert(kFilterBlockBytes * 8 == 1 << kBitsPerProbe, "a probe names any bit of a block");
static_assert(kFilterProbes * kBitsPerProbe <= 64, "the hash is 64 bits");

uint64_t HashOf(const base::KeyId& key_id) {
  return base::LoadLittle<uint64_t>(key_id.bytes.data() + base::kKeyIdBytes - sizeof(uint64_t));
}

}  // namespace

void AddToFilterBlock(const base::KeyId& key_id, char* block) {
  uint64_t hash = HashOf(key_id);
  for (int probe = 0; probe < kFilterProbes; ++probe, hash >>= kBitsPerProbe) {
    const uint64_t bit = hash & kProbeMask;
    block[bit / 8] = static_cast<char>(block[bit / 8] | (1 << (bit % 8)));
  }
}

bool FilterBlockMayContain(const char* block, const base::KeyId& key_id) {
  uint64_t hash = HashOf(key_id);
  for (int probe = 0; probe < kFilterProbes; ++probe, hash >>= kBitsPerProbe) {
    const uint64_t bit = hash & kProbeMask;
    if ((block[bit / 8] & (1 << (bit % 8))) == 0) return false;
  }
  return true;
}

}  // namespace slipstream::storage
