// The values that several messages hold, as Protobuf and back: versions, records, proofs, and the
// packed lists of reconciliation. What comes from the wire is checked here and in wire.h, once;
// behind them everybody works with plain structs. Fields: proto/slipstream/v1.
#ifndef SLIPSTREAM_NODE_WIRE_VALUES_H_
#define SLIPSTREAM_NODE_WIRE_VALUES_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/digest.h"
#include "base/key_id.h"
#include "base/version.h"
#include "merkle/reconcile.h"
#include "merkle/tree.h"
#include "slipstream/v1/admin.pb.h"
#include "slipstream/v1/kv.pb.h"
#include "slipstream/v1/peer.pb.h"
#include "storage/entry.h"
#include "storage/options.h"

namespace slipstream::node {

// A key of a message has 1 to this many bytes, whatever smaller limit a node sets for its clients.
inline constexpr size_t kWireKeyBytesMax = storage::Limits{}.key_bytes_max;
inline constexpr size_t kWireValueBytesMax = storage::kValueBytesCeiling;

// All functions here are thread-safe. Those that fail return INVALID_ARGUMENT (MESSAGE_INVALID)
// naming the field, what it holds and what it may hold.

// Makes such an error for `field`; InField then adds the way to it, innermost first.
absl::Status InvalidField(absl::string_view field, absl::string_view what);
// Returns `status`, an error of InvalidField, with "field." before its message.
absl::Status InField(absl::string_view field, const absl::Status& status);
// Returns `status` likewise with "field[index]." before its message.
absl::Status InElement(absl::string_view field, size_t index, const absl::Status& status);

v1::Version ToProto(const base::Version& version);
base::Version FromProto(const v1::Version& message);

v1::Record ToProto(storage::Record record);
absl::StatusOr<storage::Record> FromProto(v1::Record message);

v1::ProveResponse ToProto(const merkle::Tree::RootedProof& proof);
absl::StatusOr<merkle::Tree::RootedProof> FromProto(const v1::ProveResponse& message);

// Digests and key_ids are exactly as long as their type.
absl::StatusOr<base::Digest> DigestFromBytes(absl::string_view field, absl::string_view bytes);
absl::StatusOr<base::ValueDigest> ValueDigestFromBytes(absl::string_view field,
                                                       absl::string_view bytes);
absl::StatusOr<base::KeyId> KeyIdFromBytes(absl::string_view field, absl::string_view bytes);

// The bytes that hold the bits of `prefix`. Its bit_count travels beside them.
std::string PackPrefix(const base::KeyPrefix& prefix);
// Refuses a bit_count above kKeyIdBits, another number of bytes than it needs, and unused bits that
// are not zero: one prefix has one form.
absl::StatusOr<base::KeyPrefix> UnpackPrefix(absl::string_view bytes, uint32_t bit_count);

// Each key_id without the whole bytes of `prefix`, but with its last byte at least, so that the
// length tells the count. All of them must start with `prefix`; unpacking refuses others.
std::string PackKeyIds(const base::KeyPrefix& prefix, absl::Span<const base::KeyId> key_ids);
absl::StatusOr<std::vector<base::KeyId>> UnpackKeyIds(absl::string_view field,
                                                      const base::KeyPrefix& prefix,
                                                      absl::string_view bytes);

// Each entry as its key_id, as above, then hlc and actor, 8 bytes each, little-endian.
std::string PackEntries(const base::KeyPrefix& prefix,
                        absl::Span<const merkle::EntrySummary> entries);
absl::StatusOr<std::vector<merkle::EntrySummary>> UnpackEntries(absl::string_view field,
                                                                const base::KeyPrefix& prefix,
                                                                absl::string_view bytes);

}  // namespace slipstream::node

#endif  // SLIPSTREAM_NODE_WIRE_VALUES_H_
