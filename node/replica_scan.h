// One page of a listing of a replica's live keys. What it gives and takes: replica.h.
#ifndef SLIPSTREAM_NODE_REPLICA_SCAN_H_
#define SLIPSTREAM_NODE_REPLICA_SCAN_H_

#include <cstddef>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "base/digest.h"
#include "base/key_id.h"
#include "node/replica_store.h"
#include "storage/entry.h"

namespace slipstream::node {

// One live key of a Scan.
struct ScanItem {
  storage::Record record;  // With an empty value if only keys were asked for.
  base::ValueDigest value_digest;
};
struct ScanPage {
  std::vector<ScanItem> items;              // In key_id order.
  absl::optional<base::KeyId> last_key_id;  // Go on after this one; none: the scan is complete.
  storage::Lsn lsn = 0;
};
struct ScanOptions {
  absl::string_view key_prefix;
  absl::optional<base::KeyId> after;  // Only key_ids above this one.
  bool keys_only = false;
  size_t items_max = 1000;
  size_t bytes_max = 1 << 20;  // Of keys and values; at least one item is returned.
  // Entries looked at and bytes of their records; then a page, maybe empty, is returned.
  size_t visited_max = 10'000;
  size_t visited_bytes_max = 16 << 20;
};

// Reads one page. A damaged record ends it with DATA_LOSS that names the key_id. Thread-safe.
absl::StatusOr<ScanPage> ScanStore(ReplicaStore& store, const ScanOptions& options, absl::Time now);

}  // namespace slipstream::node

#endif  // SLIPSTREAM_NODE_REPLICA_SCAN_H_
