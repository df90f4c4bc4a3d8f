#include "storage/identity.h"

#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/crc32c.h"
#include "base/error_reason.h"
#include "base/status_macros.h"

namespace slipstream::storage {
namespace {

constexpr size_t kCrcedFrom = offsetof(Identity, format_version);

uint32_t IdentityCrc(const Identity& identity) {
  const absl::string_view bytes(reinterpret_cast<const char*>(&identity), sizeof(identity));
  return base::Crc32c(bytes.substr(kCrcedFrom));
}

absl::Status Foreign(absl::string_view what) {
  return base::WithReason(absl::FailedPreconditionError(what), base::kReasonDirectoryForeign);
}

absl::Status Damaged(absl::string_view what) {
  return base::WithReason(absl::DataLossError(what), base::kReasonLogDamaged);
}

bool IsSyncPolicy(SyncPolicy policy) {
  return policy == SyncPolicy::kAlways || policy == SyncPolicy::kInterval ||
         policy == SyncPolicy::kNone;
}

}  // namespace

std::string EncodeIdentity(Identity identity) {
  identity.crc32c = IdentityCrc(identity);
  return std::string(reinterpret_cast<const char*>(&identity), sizeof(identity));
}

absl::StatusOr<Identity> DecodeIdentity(absl::string_view bytes) {
  Identity identity;
  bytes.copy(reinterpret_cast<char*>(&identity), sizeof(identity));
  if (bytes.size() >= sizeof(identity.magic) && identity.magic != kIdentityMagic) {
    return Foreign(absl::StrFormat("identity magic 0x%016x != 0x%016x: not a slipstream directory",
                                   identity.magic, kIdentityMagic));
  }
  if (bytes.size() != kIdentityBytes) {
    return Damaged(absl::StrFormat("identity of %d bytes, not %d", bytes.size(), kIdentityBytes));
  }
  if (const uint32_t crc = IdentityCrc(identity); crc != identity.crc32c) {
    return Damaged(absl::StrFormat("identity crc 0x%08x != 0x%08x", crc, identity.crc32c));
  }
  if (identity.format_version > kFormatVersion) {
    return Foreign(absl::StrFormat("format version %d; this program reads versions up to %d",
                                   identity.format_version, kFormatVersion));
  }
  if (!IsSyncPolicy(identity.sync_policy)) {
    return Damaged(
        absl::StrFormat("identity with sync policy %d", static_cast<int>(identity.sync_policy)));
  }
  return identity;
}

absl::StatusOr<Identity> ReadIdentity(FileSystem* fs, absl::string_view directory) {
  const std::string path = JoinPath(directory, kIdentityFileName);
  SLIP_ASSIGN_OR_RETURN(const std::unique_ptr<File> file, fs->Open(path, OpenMode::kRead));
  SLIP_ASSIGN_OR_RETURN(const uint64_t size, file->Size());
  // One byte more than there should be is enough to see that it is not ours.
  std::string bytes(std::min<uint64_t>(size, kIdentityBytes + 1), '\0');
  SLIP_RETURN_IF_ERROR(file->Read(0, bytes.size(), bytes.data()));
  absl::StatusOr<Identity> identity = DecodeIdentity(bytes);
  if (identity.ok()) return identity;
  return base::WithReason(
      absl::Status(identity.status().code(), absl::StrCat(path, ": ", identity.status().message())),
      base::ReasonOf(identity.status()));
}

absl::Status WriteIdentity(FileSystem* fs, absl::string_view directory, const Identity& identity) {
  const std::string path = JoinPath(directory, kIdentityFileName);
  const std::string temporary_path = TemporaryName(path);
  if (absl::Status status = fs->Remove(temporary_path); !status.ok() && !absl::IsNotFound(status)) {
    return status;
  }
  SLIP_ASSIGN_OR_RETURN(const std::unique_ptr<File> file,
                        fs->Open(temporary_path, OpenMode::kCreate));
  SLIP_RETURN_IF_ERROR(file->Write(0, EncodeIdentity(identity)));
  SLIP_RETURN_IF_ERROR(file->SyncData());
  SLIP_RETURN_IF_ERROR(fs->Rename(temporary_path, path));
  return fs->SyncDirectory(directory);
}

}  // namespace slipstream::storage
