// ChainHasher: an EntryHasher for tests of storage, which knows no Merkle tree: a digest over the
// live entries, one after the other.
#ifndef SLIPSTREAM_STORAGE_TESTING_CHAIN_HASHER_H_
#define SLIPSTREAM_STORAGE_TESTING_CHAIN_HASHER_H_

#include <vector>

#include "base/digest.h"
#include "storage/entry.h"
#include "storage/snapshot_reader.h"

namespace slipstream::storage::testing {

// Not thread-safe.
class ChainHasher : public EntryHasher {
 public:
  void Add(const Entry& entry) override;
  base::Digest Finish() override;

 private:
  base::Digest digest_;
};

// Returns what a ChainHasher makes of the live ones of `entries`, which are in order.
base::Digest RootOfEntries(const std::vector<Entry>& entries);

}  // namespace slipstream::storage::testing

#endif  // SLIPSTREAM_STORAGE_TESTING_CHAIN_HASHER_H_
