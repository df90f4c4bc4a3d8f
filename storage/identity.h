// Identity: who a data directory is, and in which of its lives. Layout: docs/storage_format.md.
#ifndef SLIPSTREAM_STORAGE_IDENTITY_H_
#define SLIPSTREAM_STORAGE_IDENTITY_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/entry.h"
#include "storage/file_system.h"
#include "storage/options.h"
#include "storage/segment.h"

namespace slipstream::storage {

inline constexpr absl::string_view kIdentityFileName = "identity";

inline constexpr uint64_t kIdentityMagic = 0x4e454449'50494c53;  // "SLIPIDEN"
inline constexpr uint32_t kIdentityFlagClean = 1;

// The file as it stands on disk.
struct Identity {
  uint64_t magic = kIdentityMagic;
  uint32_t crc32c = 0;  // Of all that follows.
  uint32_t format_version = kFormatVersion;
  uint64_t node_id = 0;
  uint64_t actor = 0;
  uint64_t life_count = 0;
  Lsn durable_lsn = 0;  // Known to be durable when this was written.
  uint64_t last_hlc = 0;
  uint64_t accepted_damage = 0;  // Names the damage that an Open has accepted; 0: none.
  uint32_t flags = 0;
  SyncPolicy sync_policy = SyncPolicy::kAlways;
  std::array<uint8_t, 3> sync_policy_padding = {};
  std::array<uint8_t, 56> reserved = {};

  bool clean() const { return (flags & kIdentityFlagClean) != 0; }
};
inline constexpr size_t kIdentityBytes = 128;

static_assert(sizeof(Identity) == kIdentityBytes);
static_assert(std::has_unique_object_representations_v<Identity>, "no padding on disk");
static_assert(std::is_trivially_copyable_v<Identity>);
static_assert(offsetof(Identity, crc32c) == 8);
static_assert(offsetof(Identity, format_version) == 12);
static_assert(offsetof(Identity, node_id) == 16);
static_assert(offsetof(Identity, actor) == 24);
static_assert(offsetof(Identity, life_count) == 32);
static_assert(offsetof(Identity, durable_lsn) == 40);
static_assert(offsetof(Identity, last_hlc) == 48);
static_assert(offsetof(Identity, accepted_damage) == 56);
static_assert(offsetof(Identity, flags) == 64);
static_assert(offsetof(Identity, sync_policy) == 68);
static_assert(offsetof(Identity, reserved) == 72);

// Returns the file's bytes, with the checksum.
std::string EncodeIdentity(Identity identity);

// Decodes the file's bytes. FAILED_PRECONDITION (DIRECTORY_FOREIGN) for another magic or a newer
// version; DATA_LOSS (LOG_DAMAGED) if it fails its checks.
absl::StatusOr<Identity> DecodeIdentity(absl::string_view bytes);

// Reads the identity of `directory`. NOT_FOUND if it has none; others as DecodeIdentity.
absl::StatusOr<Identity> ReadIdentity(FileSystem* fs, absl::string_view directory);

// Replaces the identity of `directory` in one atomic, durable step: after an error or a crash the
// old or the new one is there.
absl::Status WriteIdentity(FileSystem* fs, absl::string_view directory, const Identity& identity);

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_IDENTITY_H_
