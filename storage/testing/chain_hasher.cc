#include "storage/testing/chain_hasher.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/key_id.h"
#include "base/version.h"

namespace slipstream::storage::testing {

void ChainHasher::Add(const Entry& entry) {
  const absl::string_view key_id(reinterpret_cast<const char*>(entry.key_id.bytes.data()),
                                 entry.key_id.bytes.size());
  digest_ = base::Sha256(absl::StrCat(digest_.view(), key_id, base::ToString(entry.version), " ",
                                      entry.expires_at_ms, entry.value_digest.view()));
}

base::Digest ChainHasher::Finish() { return std::exchange(digest_, base::Digest{}); }

base::Digest RootOfEntries(const std::vector<Entry>& entries) {
  ChainHasher hasher;
  for (const Entry& entry : entries) {
    if (!entry.tombstone) hasher.Add(entry);
  }
  return hasher.Finish();
}

}  // namespace slipstream::storage::testing
