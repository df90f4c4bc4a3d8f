#include "merkle/reconcile_view.h"

#include <array>
#include <cstdint>
#include <cstring>

#include "absl/strings/string_view.h"
#include "base/coding.h"

namespace slipstream::merkle {
namespace {

uint64_t FingerprintOf(const SessionSalt& salt, const base::Digest& digest) {
  std::array<char, sizeof(SessionSalt) + sizeof(base::Digest)> input;
  std::memcpy(input.data(), salt.data(), salt.size());
  std::memcpy(&input[salt.size()], digest.bytes.data(), digest.bytes.size());
  const base::Digest salted = base::Sha256(absl::string_view(input.data(), input.size()));
  return base::LoadLittle<uint64_t>(salted.bytes.data());
}

}  // namespace

ChildFingerprints FingerprintChildren(ReconcileView& view, const SessionSalt& salt,
                                      const base::KeyPrefix& prefix) {
  ChildFingerprints result{.prefix = prefix, .present = 0, .fingerprints = {}};
  for (uint32_t i = 0; i < kChildCount; ++i) {
    const base::Digest digest = view.DigestOf(base::ExtendPrefix(prefix, i, kChildBits));
    if (digest.is_zero()) continue;
    result.present |= static_cast<uint16_t>(1u << i);
    result.fingerprints.push_back(FingerprintOf(salt, digest));
  }
  return result;
}

std::vector<base::KeyPrefix> DifferingChildren(const ChildFingerprints& mine,
                                               const ChildFingerprints& theirs) {
  std::vector<base::KeyPrefix> children;
  auto my_next = mine.fingerprints.begin();
  auto their_next = theirs.fingerprints.begin();
  for (uint32_t i = 0; i < kChildCount; ++i) {
    const bool in_mine = (mine.present >> i & 1) != 0;
    const bool in_theirs = (theirs.present >> i & 1) != 0;
    // Zero for an empty child is never compared with a fingerprint: the other is empty too then.
    const uint64_t my_fingerprint = in_mine ? *my_next++ : 0;
    const uint64_t their_fingerprint = in_theirs ? *their_next++ : 0;
    if (in_mine == in_theirs && my_fingerprint == their_fingerprint) continue;
    children.push_back(base::ExtendPrefix(mine.prefix, i, kChildBits));
  }
  return children;
}

EntryDifferences CompareEntries(const std::vector<EntrySummary>& mine,
                                const std::vector<EntrySummary>& theirs) {
  EntryDifferences differences;
  auto my_next = mine.begin();
  auto their_next = theirs.begin();
  while (my_next != mine.end() || their_next != theirs.end()) {
    const bool only_mine = their_next == theirs.end() ||
                           (my_next != mine.end() && my_next->key_id < their_next->key_id);
    const bool only_theirs = my_next == mine.end() ||
                             (their_next != theirs.end() && their_next->key_id < my_next->key_id);
    if (only_mine) {
      differences.mine_newer.push_back(*my_next++);
    } else if (only_theirs) {
      differences.theirs_newer.push_back(*their_next++);
    } else {
      if (my_next->version > their_next->version) differences.mine_newer.push_back(*my_next);
      if (my_next->version < their_next->version) differences.theirs_newer.push_back(*their_next);
      ++my_next;
      ++their_next;
    }
  }
  return differences;
}

}  // namespace slipstream::merkle
