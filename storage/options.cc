#include "storage/options.h"

#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "storage/frame.h"
#include "storage/record.h"

namespace slipstream::storage {
namespace {

struct Bounds {
  uint64_t min;
  uint64_t max;
};

absl::Status CheckBounds(absl::string_view name, uint64_t value, const Bounds& bounds) {
  if (value >= bounds.min && value <= bounds.max) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrFormat("%s is %d, not %d to %d", name, value, bounds.min, bounds.max));
}

absl::Status CheckPages(absl::string_view name, uint64_t value) {
  if (value % kPageBytes == 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrFormat("%s is %d, not a multiple of %d", name, value, kPageBytes));
}

absl::Status ValidateLimits(const Limits& limits) {
  SLIP_RETURN_IF_ERROR(
      CheckBounds("key_bytes_max", limits.key_bytes_max, {.min = 1, .max = kKeyBytesCeiling}));
  SLIP_RETURN_IF_ERROR(CheckBounds("value_bytes_max", limits.value_bytes_max,
                                   {.min = 0, .max = kValueBytesCeiling}));
  SLIP_RETURN_IF_ERROR(CheckBounds("batch_operations_max", limits.batch_operations_max,
                                   {.min = 1, .max = kBatchOperationsCeiling}));
  // The largest single write is a batch too.
  const uint64_t batch_bytes_min = uint64_t{limits.key_bytes_max} + limits.value_bytes_max;
  SLIP_RETURN_IF_ERROR(CheckBounds("batch_bytes_max", limits.batch_bytes_max,
                                   {.min = batch_bytes_min, .max = kBatchBytesCeiling}));
  SLIP_RETURN_IF_ERROR(
      CheckBounds("transaction_operations_max", limits.transaction_operations_max,
                  {.min = limits.batch_operations_max, .max = kTransactionOperationsCeiling}));
  SLIP_RETURN_IF_ERROR(
      CheckBounds("transaction_buffer_bytes", limits.transaction_buffer_bytes,
                  {.min = limits.batch_bytes_max, .max = kTransactionBytesCeiling}));
  return CheckBounds("transaction_bytes_max", limits.transaction_bytes_max,
                     {.min = limits.transaction_buffer_bytes, .max = kTransactionBytesCeiling});
}

}  // namespace

uint64_t OneFrameBytesMax(const Limits& limits) {
  return (uint64_t{limits.batch_operations_max} + 1) * kRecordHeaderBytes + limits.batch_bytes_max;
}

absl::Status ValidateOptions(const Options& options) {
  SLIP_RETURN_IF_ERROR(ValidateLimits(options.limits));
  SLIP_RETURN_IF_ERROR(CheckBounds("frame_bytes_target", options.frame_bytes_target,
                                   {.min = kFrameBytesTargetMin, .max = kFrameBytesTargetMax}));
  SLIP_RETURN_IF_ERROR(CheckPages("frame_bytes_target", options.frame_bytes_target));
  // A segment holds its header page and the largest Write: a record each, and the Commit.
  const uint64_t payload_bytes_max = OneFrameBytesMax(options.limits);
  SLIP_RETURN_IF_ERROR(
      CheckBounds("segment_bytes", options.segment_bytes,
                  {.min = kPageBytes + FrameBytes(payload_bytes_max), .max = kSegmentBytesMax}));
  SLIP_RETURN_IF_ERROR(CheckPages("segment_bytes", options.segment_bytes));
  SLIP_RETURN_IF_ERROR(CheckBounds("unflushed_bytes_max", options.unflushed_bytes_max,
                                   {.min = 0, .max = kUnflushedBytesCeiling}));
  SLIP_RETURN_IF_ERROR(CheckBounds("frames_in_flight_max", options.frames_in_flight_max,
                                   {.min = 1, .max = kFramesInFlightCeiling}));
  SLIP_RETURN_IF_ERROR(CheckBounds("reserve_segments", options.reserve_segments,
                                   {.min = 0, .max = kReserveSegmentsCeiling}));
  SLIP_RETURN_IF_ERROR(CheckBounds("compaction_step_bytes", options.compaction_step_bytes,
                                   {.min = 1, .max = kFrameBytesTargetMax}));
  if (!(options.compaction_dead_share >= kDeadShareMin && options.compaction_dead_share <= 1)) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "compaction_dead_share is %g, not %g to 1", options.compaction_dead_share, kDeadShareMin));
  }
  SLIP_RETURN_IF_ERROR(CheckBounds("checkpoint_bytes", options.checkpoint_bytes,
                                   {.min = kPageBytes, .max = kCheckpointBytesCeiling}));
  SLIP_RETURN_IF_ERROR(CheckBounds("scrub_step_bytes", options.scrub_step_bytes,
                                   {.min = 1, .max = kFrameBytesTargetMax}));
  return CheckBounds("value_cache_bytes", options.value_cache_bytes,
                     {.min = 0, .max = kValueCacheBytesCeiling});
}

}  // namespace slipstream::storage
