// Error reasons: stable names that programs may match, beside the message that people read.
//
// A reason travels as a payload of absl::Status and, on the wire, as the trailing metadata entry
// "slipstream-reason" (docs/errors.md lists them all). Reasons are never renamed.
#ifndef SLIPSTREAM_BASE_ERROR_REASON_H_
#define SLIPSTREAM_BASE_ERROR_REASON_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace slipstream::base {

inline constexpr absl::string_view kReasonKeySize = "KEY_SIZE";
inline constexpr absl::string_view kReasonValueSize = "VALUE_SIZE";
inline constexpr absl::string_view kReasonBatchSize = "BATCH_SIZE";
inline constexpr absl::string_view kReasonMessageInvalid = "MESSAGE_INVALID";
inline constexpr absl::string_view kReasonKeyNotFound = "KEY_NOT_FOUND";
inline constexpr absl::string_view kReasonRecordDamaged = "RECORD_DAMAGED";
inline constexpr absl::string_view kReasonLogDamaged = "LOG_DAMAGED";
inline constexpr absl::string_view kReasonDirectoryInUse = "DIRECTORY_IN_USE";
inline constexpr absl::string_view kReasonDirectoryForeign = "DIRECTORY_FOREIGN";
inline constexpr absl::string_view kReasonDiskFull = "DISK_FULL";
inline constexpr absl::string_view kReasonEngineFailed = "ENGINE_FAILED";
inline constexpr absl::string_view kReasonDraining = "DRAINING";
inline constexpr absl::string_view kReasonTooBusy = "TOO_BUSY";
inline constexpr absl::string_view kReasonTreeBusy = "TREE_BUSY";
inline constexpr absl::string_view kReasonTransactionConflict = "TRANSACTION_CONFLICT";
inline constexpr absl::string_view kReasonTransactionSize = "TRANSACTION_SIZE";
inline constexpr absl::string_view kReasonTransactionIdle = "TRANSACTION_IDLE";
inline constexpr absl::string_view kReasonAnswerSize = "ANSWER_SIZE";
inline constexpr absl::string_view kReasonSnapshotDamaged = "SNAPSHOT_DAMAGED";
inline constexpr absl::string_view kReasonSnapshotBusy = "SNAPSHOT_BUSY";
inline constexpr absl::string_view kReasonSnapshotPath = "SNAPSHOT_PATH";

// Returns `status`, which must not be OK, with `reason` attached in place of any it had.
absl::Status WithReason(absl::Status status, absl::string_view reason);

// Returns the reason attached to `status`; empty if it has none.
std::string ReasonOf(const absl::Status& status);

}  // namespace slipstream::base

#endif  // SLIPSTREAM_BASE_ERROR_REASON_H_
