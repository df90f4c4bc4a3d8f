#include "node/peer_answer.h"

#include <algorithm>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/error_reason.h"
#include "base/key_id.h"
#include "base/status_macros.h"
#include "node/record_check.h"
#include "storage/engine.h"

namespace slipstream::node {

merkle::ReconcileLimits ReconcileLimitsFor(size_t message_bytes_max) {
  merkle::ReconcileLimits limits;
  limits.message_bytes_max = std::min(limits.message_bytes_max, message_bytes_max / 2);
  return limits;
}

absl::StatusOr<FetchRecordsResponse> AnswerFetchRecords(ReplicaStore& store,
                                                        const FetchRecordsRequest& request,
                                                        const PeerAnswerLimits& limits) {
  if (request.key_ids.size() > kFetchKeyIdsMax) {
    return base::WithReason(
        absl::InvalidArgumentError(absl::StrCat("fetch of ", request.key_ids.size(),
                                                " key_ids, of at most ", kFetchKeyIdsMax)),
        base::kReasonMessageInvalid);
  }
  FetchRecordsResponse response;
  size_t bytes = 0;
  for (const base::KeyId& key_id : request.key_ids) {
    absl::StatusOr<storage::Record> record = store.engine().GetRecord(key_id, nullptr);
    if (!record.ok() && !absl::IsNotFound(record.status()) && !absl::IsDataLoss(record.status())) {
      return record.status();
    }
    if (record.ok()) {
      bytes += MessageBytes(*record);
      if (bytes > limits.message_bytes_max && !response.records.empty()) break;
      response.records.push_back(*std::move(record));
    }
    ++response.handled_count;
  }
  return response;
}

absl::StatusOr<PushRecordsResponse> AnswerPushRecords(ReplicaStore& store,
                                                      const PushRecordsRequest& request,
                                                      const PeerAnswerLimits& limits,
                                                      absl::Time now) {
  for (const std::vector<storage::Record>& group : request.groups) {
    SLIP_RETURN_IF_ERROR(CheckGroup(group));
  }
  PushRecordsResponse response;
  for (const std::vector<storage::Record>& group : request.groups) {
    const bool is_held_back = std::any_of(group.begin(), group.end(), [&](const auto& record) {
      return IsFromFuture(record.version, now, limits.clock_skew_max);
    });
    if (is_held_back) {
      response.held_back_count += group.size();
      continue;
    }
    SLIP_ASSIGN_OR_RETURN(const storage::WriteResult result,
                          store.engine().Apply(group, storage::Atomicity::kAll, now));
    response.applied_count += result.applied_count;
  }
  return response;
}

}  // namespace slipstream::node
