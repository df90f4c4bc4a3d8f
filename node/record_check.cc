#include "node/record_check.h"

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/error_reason.h"
#include "base/status_macros.h"
#include "base/version.h"
#include "storage/ceilings.h"

namespace slipstream::node {
namespace {

// Version, sequence, expiry, and what Protobuf adds to a record alone in its group.
constexpr size_t kMessageOverheadBytes = 96;

absl::Status InvalidRecord(absl::string_view what) {
  return base::WithReason(absl::InvalidArgumentError(absl::StrCat("record: ", what)),
                          base::kReasonMessageInvalid);
}

}  // namespace

absl::Status CheckRecord(const storage::Record& record) {
  if (record.key.empty() || record.key.size() > storage::kKeyBytesCeiling) {
    return InvalidRecord(
        absl::StrCat("key of ", record.key.size(), " bytes, of 1 to ", storage::kKeyBytesCeiling));
  }
  if (record.value.size() > storage::kValueBytesCeiling) {
    return InvalidRecord(absl::StrCat("value of ", record.value.size(), " bytes, of at most ",
                                      storage::kValueBytesCeiling));
  }
  if (record.tombstone && !record.value.empty()) {
    return InvalidRecord(absl::StrCat("tombstone with a value of ", record.value.size(), " bytes"));
  }
  if (record.version.hlc == 0 || record.sequence == 0) {
    return InvalidRecord(absl::StrCat("version ", base::ToString(record.version), " and sequence ",
                                      record.sequence, ", which nobody gives"));
  }
  return absl::OkStatus();
}

absl::Status CheckGroup(absl::Span<const storage::Record> group) {
  if (group.empty() || group.size() > storage::kBatchOperationsCeiling) {
    return InvalidRecord(absl::StrCat("group of ", group.size(), " records, of 1 to ",
                                      storage::kBatchOperationsCeiling));
  }
  absl::flat_hash_set<absl::string_view> keys;
  for (const storage::Record& record : group) {
    SLIP_RETURN_IF_ERROR(CheckRecord(record));
    if (group.size() > 1 && !keys.insert(record.key).second) {
      return InvalidRecord("key that occurs twice in its group");
    }
  }
  return absl::OkStatus();
}

bool IsFromFuture(const base::Version& version, absl::Time now, absl::Duration clock_skew_max) {
  return base::TimeFromHlc(version.hlc) > now + clock_skew_max;
}

size_t PayloadBytes(const storage::Record& record) {
  return record.key.size() + record.value.size();
}

size_t MessageBytes(const storage::Record& record) {
  return PayloadBytes(record) + kMessageOverheadBytes;
}

}  // namespace slipstream::node
