#include "node/wire_values.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/coding.h"
#include "base/error_reason.h"
#include "base/status_macros.h"

namespace slipstream::node {
namespace {

constexpr size_t kPackedVersionBytes = 16;

absl::Status Invalid(absl::string_view message) {
  return base::WithReason(absl::InvalidArgumentError(message), base::kReasonMessageInvalid);
}

absl::Status WrongLength(absl::string_view field, size_t bytes, size_t expected) {
  return InvalidField(field, absl::StrCat(bytes, " bytes, must be ", expected));
}

// Returns how many leading bytes packed key_ids leave out.
size_t SharedBytes(const base::KeyPrefix& prefix) {
  return std::min<size_t>(prefix.bit_count / 8, base::kKeyIdBytes - 1);
}

void AppendKeyId(const base::KeyPrefix& prefix, const base::KeyId& key_id, std::string& bytes) {
  SLIP_CHECK(base::HasPrefix(key_id, prefix));
  bytes.append(key_id.view().substr(SharedBytes(prefix)).data(),
               base::kKeyIdBytes - SharedBytes(prefix));
}

// Reads one packed key_id, of which `reader` must hold enough bytes.
absl::StatusOr<base::KeyId> ReadKeyId(absl::string_view field, const base::KeyPrefix& prefix,
                                      base::ByteReader& reader) {
  base::KeyId key_id = prefix.bits;
  const absl::string_view tail = reader.ReadBytes(base::kKeyIdBytes - SharedBytes(prefix));
  std::memcpy(key_id.bytes.data() + SharedBytes(prefix), tail.data(), tail.size());
  if (!base::HasPrefix(key_id, prefix)) {
    return InvalidField(field, absl::StrCat("a key_id outside of prefix ", ToString(prefix)));
  }
  return key_id;
}

// Returns how many items of `item_bytes` the field holds.
absl::StatusOr<size_t> CountItems(absl::string_view field, absl::string_view bytes,
                                  size_t item_bytes) {
  if (bytes.size() % item_bytes != 0) {
    return InvalidField(field,
                        absl::StrCat(bytes.size(), " bytes, must be a multiple of ", item_bytes));
  }
  return bytes.size() / item_bytes;
}

absl::StatusOr<merkle::Leaf> LeafFromProto(const v1::ProveResponse::Leaf& message) {
  merkle::Leaf leaf;
  SLIP_ASSIGN_OR_RETURN(leaf.key_id, KeyIdFromBytes("key_id", message.key_id()));
  if (!message.has_version()) return InvalidField("version", "is missing");
  leaf.version = FromProto(message.version());
  leaf.expires_at_ms = message.expires_at_ms();
  SLIP_ASSIGN_OR_RETURN(leaf.value_digest,
                        ValueDigestFromBytes("value_digest", message.value_digest()));
  return leaf;
}

}  // namespace

absl::Status InvalidField(absl::string_view field, absl::string_view what) {
  return Invalid(absl::StrCat(field, ": ", what));
}

absl::Status InField(absl::string_view field, const absl::Status& status) {
  return Invalid(absl::StrCat(field, ".", status.message()));
}

absl::Status InElement(absl::string_view field, size_t index, const absl::Status& status) {
  return Invalid(absl::StrCat(field, "[", index, "].", status.message()));
}

v1::Version ToProto(const base::Version& version) {
  v1::Version message;
  message.set_hlc(version.hlc);
  message.set_actor(static_cast<uint64_t>(version.actor));
  return message;
}

base::Version FromProto(const v1::Version& message) {
  return {.hlc = message.hlc(), .actor = base::ActorId{message.actor()}};
}

v1::Record ToProto(storage::Record record) {
  v1::Record message;
  message.set_key(std::move(record.key));
  message.set_value(std::move(record.value));
  *message.mutable_version() = ToProto(record.version);
  message.set_sequence(record.sequence);
  message.set_expires_at_ms(record.expires_at_ms);
  message.set_tombstone(record.tombstone);
  return message;
}

absl::StatusOr<storage::Record> FromProto(v1::Record message) {
  if (message.key().empty() || message.key().size() > kWireKeyBytesMax) {
    return InvalidField("key",
                        absl::StrCat(message.key().size(), " bytes, of 1 to ", kWireKeyBytesMax));
  }
  if (message.value().size() > kWireValueBytesMax) {
    return InvalidField(
        "value", absl::StrCat(message.value().size(), " bytes, of at most ", kWireValueBytesMax));
  }
  if (message.tombstone() && !message.value().empty()) {
    return InvalidField("value",
                        absl::StrCat(message.value().size(), " bytes in a tombstone, must be 0"));
  }
  if (message.version().hlc() == 0) return InvalidField("version.hlc", "must not be 0");
  if (message.sequence() == 0) return InvalidField("sequence", "must not be 0");
  storage::Record record;
  record.key = std::move(*message.mutable_key());
  record.value = std::move(*message.mutable_value());
  record.version = FromProto(message.version());
  record.sequence = message.sequence();
  record.expires_at_ms = message.expires_at_ms();
  record.tombstone = message.tombstone();
  return record;
}

v1::ProveResponse ToProto(const merkle::Tree::RootedProof& proof) {
  v1::ProveResponse message;
  message.set_root(std::string(proof.root.view()));
  for (const base::Digest& sibling : proof.proof.siblings) {
    message.add_siblings(sibling.is_zero() ? std::string() : std::string(sibling.view()));
  }
  if (proof.proof.end.has_value()) {
    const merkle::Leaf& leaf = *proof.proof.end;
    v1::ProveResponse::Leaf& end = *message.mutable_end();
    end.set_key_id(std::string(leaf.key_id.view()));
    *end.mutable_version() = ToProto(leaf.version);
    end.set_expires_at_ms(leaf.expires_at_ms);
    end.set_value_digest(std::string(leaf.value_digest.view()));
  }
  return message;
}

absl::StatusOr<merkle::Tree::RootedProof> FromProto(const v1::ProveResponse& message) {
  merkle::Tree::RootedProof proof;
  SLIP_ASSIGN_OR_RETURN(proof.root, DigestFromBytes("root", message.root()));
  if (message.siblings_size() > base::kKeyIdBits) {
    return InvalidField("siblings", absl::StrCat(message.siblings_size(), " digests, of at most ",
                                                 base::kKeyIdBits));
  }
  for (const std::string& sibling : message.siblings()) {
    if (sibling.empty()) {
      proof.proof.siblings.emplace_back();
      continue;
    }
    SLIP_ASSIGN_OR_RETURN(base::Digest digest, DigestFromBytes("siblings", sibling));
    // Zero has a form of its own, the empty one: one proof has one form.
    if (digest.is_zero()) return InvalidField("siblings", "a digest of zeros, must be empty");
    proof.proof.siblings.push_back(digest);
  }
  if (message.has_end()) {
    absl::StatusOr<merkle::Leaf> end = LeafFromProto(message.end());
    if (!end.ok()) return InField("end", end.status());
    proof.proof.end = *end;
  }
  return proof;
}

absl::StatusOr<base::Digest> DigestFromBytes(absl::string_view field, absl::string_view bytes) {
  base::Digest digest;
  if (bytes.size() != digest.bytes.size()) {
    return WrongLength(field, bytes.size(), digest.bytes.size());
  }
  std::copy(bytes.begin(), bytes.end(), digest.bytes.begin());
  return digest;
}

absl::StatusOr<base::ValueDigest> ValueDigestFromBytes(absl::string_view field,
                                                       absl::string_view bytes) {
  base::ValueDigest digest;
  if (bytes.size() != digest.bytes.size()) {
    return WrongLength(field, bytes.size(), digest.bytes.size());
  }
  std::copy(bytes.begin(), bytes.end(), digest.bytes.begin());
  return digest;
}

absl::StatusOr<base::KeyId> KeyIdFromBytes(absl::string_view field, absl::string_view bytes) {
  base::KeyId key_id;
  if (bytes.size() != key_id.bytes.size()) {
    return WrongLength(field, bytes.size(), key_id.bytes.size());
  }
  std::copy(bytes.begin(), bytes.end(), key_id.bytes.begin());
  return key_id;
}

std::string PackPrefix(const base::KeyPrefix& prefix) {
  return std::string(prefix.bits.view().substr(0, (prefix.bit_count + 7) / 8));
}

absl::StatusOr<base::KeyPrefix> UnpackPrefix(absl::string_view bytes, uint32_t bit_count) {
  if (bit_count > base::kKeyIdBits) {
    return InvalidField("bit_count", absl::StrCat(bit_count, ", of at most ", base::kKeyIdBits));
  }
  const size_t expected = (bit_count + 7) / 8;
  if (bytes.size() != expected) return WrongLength("prefix", bytes.size(), expected);
  base::KeyId bits;
  std::copy(bytes.begin(), bytes.end(), bits.bytes.begin());
  const base::KeyPrefix prefix = base::MakePrefix(bits, static_cast<int>(bit_count));
  if (prefix.bits != bits) {
    return InvalidField("prefix", absl::StrCat("bits after the first ", bit_count, " are set"));
  }
  return prefix;
}

std::string PackKeyIds(const base::KeyPrefix& prefix, absl::Span<const base::KeyId> key_ids) {
  std::string bytes;
  bytes.reserve(key_ids.size() * (base::kKeyIdBytes - SharedBytes(prefix)));
  for (const base::KeyId& key_id : key_ids) AppendKeyId(prefix, key_id, bytes);
  return bytes;
}

absl::StatusOr<std::vector<base::KeyId>> UnpackKeyIds(absl::string_view field,
                                                      const base::KeyPrefix& prefix,
                                                      absl::string_view bytes) {
  SLIP_ASSIGN_OR_RETURN(const size_t count,
                        CountItems(field, bytes, base::kKeyIdBytes - SharedBytes(prefix)));
  std::vector<base::KeyId> key_ids;
  key_ids.reserve(count);
  base::ByteReader reader(bytes);
  for (size_t index = 0; index < count; ++index) {
    SLIP_ASSIGN_OR_RETURN(base::KeyId key_id, ReadKeyId(field, prefix, reader));
    key_ids.push_back(key_id);
  }
  return key_ids;
}

std::string PackEntries(const base::KeyPrefix& prefix,
                        absl::Span<const merkle::EntrySummary> entries) {
  std::string bytes;
  bytes.reserve(entries.size() * (base::kKeyIdBytes - SharedBytes(prefix) + kPackedVersionBytes));
  for (const merkle::EntrySummary& entry : entries) {
    AppendKeyId(prefix, entry.key_id, bytes);
    char version[kPackedVersionBytes];
    base::StoreLittle<uint64_t>(entry.version.hlc, version);
    base::StoreLittle<uint64_t>(static_cast<uint64_t>(entry.version.actor), version + 8);
    bytes.append(version, sizeof(version));
  }
  return bytes;
}

absl::StatusOr<std::vector<merkle::EntrySummary>> UnpackEntries(absl::string_view field,
                                                                const base::KeyPrefix& prefix,
                                                                absl::string_view bytes) {
  SLIP_ASSIGN_OR_RETURN(
      const size_t count,
      CountItems(field, bytes, base::kKeyIdBytes - SharedBytes(prefix) + kPackedVersionBytes));
  std::vector<merkle::EntrySummary> entries;
  entries.reserve(count);
  base::ByteReader reader(bytes);
  for (size_t index = 0; index < count; ++index) {
    merkle::EntrySummary entry;
    SLIP_ASSIGN_OR_RETURN(entry.key_id, ReadKeyId(field, prefix, reader));
    entry.version.hlc = reader.ReadLittle<uint64_t>();
    entry.version.actor = base::ActorId{reader.ReadLittle<uint64_t>()};
    entries.push_back(entry);
  }
  return entries;
}

}  // namespace slipstream::node
