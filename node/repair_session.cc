#include "node/repair_session.h"

#include <algorithm>
#include <set>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/check.h"
#include "base/error_reason.h"
#include "base/status_macros.h"
#include "node/record_check.h"
#include "storage/engine.h"

namespace slipstream::node {
namespace {

constexpr size_t kFetchCountAtFirst = 1024;
constexpr size_t kFetchCountMin = 16;
static_assert(kFetchCountAtFirst <= kFetchKeyIdsMax);

absl::Status InvalidAnswer(absl::string_view what) {
  return base::WithReason(absl::InvalidArgumentError(what), base::kReasonMessageInvalid);
}

}  // namespace

RepairSession::RepairSession(ReplicaStore* store, const PeerAnswerLimits& limits, base::Random* rng)
    : store_(store),
      limits_(limits),
      reconciler_(store, ReconcileLimitsFor(limits.message_bytes_max), rng),
      fetch_count_(kFetchCountAtFirst) {}

absl::optional<RepairSession::Step> RepairSession::Next() {
  asked_.clear();
  pushed_record_count_ = 0;
  pushed_record_bytes_ = 0;
  if (!reconciler_.done()) {
    merkle::ReconcileRequest request = reconciler_.NextRequest();
    return Step{.request = std::move(request), .release_lsn = store_->ExposedLsn()};
  }
  if (absl::optional<Step> step = NextFetch(); step.has_value()) return step;
  return NextPush();
}

absl::optional<RepairSession::Step> RepairSession::NextFetch() {
  FetchRecordsRequest request;
  while (!needed_.empty() && asked_.size() < fetch_count_) {
    const merkle::EntrySummary entry = needed_.front();
    needed_.pop_front();
    // A push or another session may have brought it meanwhile.
    if (store_->VersionOf(entry.key_id) >= entry.version) continue;
    asked_.push_back(entry);
    request.key_ids.push_back(entry.key_id);
  }
  if (asked_.empty()) return absl::nullopt;
  return Step{.request = std::move(request), .release_lsn = store_->ExposedLsn()};
}

absl::optional<RepairSession::Step> RepairSession::NextPush() {
  PushRecordsRequest request;
  size_t bytes = 0;
  while (!offered_.empty()) {
    absl::StatusOr<storage::Record> record = store_->engine().GetRecord(offered_.front(), nullptr);
    if (record.ok()) {
      bytes += MessageBytes(*record);
      if (bytes > limits_.message_bytes_max && pushed_record_count_ > 0) break;
      ++pushed_record_count_;
      pushed_record_bytes_ += PayloadBytes(*record);
      request.groups.push_back({*std::move(record)});
    }
    // Else it is gone or damaged: not to be had from this side.
    offered_.pop_front();
  }
  if (request.groups.empty()) return absl::nullopt;
  return Step{.request = std::move(request), .release_lsn = store_->ExposedLsn()};
}

absl::Status RepairSession::OnResponse(const PeerResponse& response, const WireBytes& bytes,
                                       absl::Time now) {
  ++traffic_.round_trip_count;
  uint64_t record_bytes = pushed_record_bytes_;
  if (const auto* fetched = std::get_if<FetchRecordsResponse>(&response); fetched != nullptr) {
    for (const storage::Record& record : fetched->records) record_bytes += PayloadBytes(record);
  }
  CountBytes(bytes, record_bytes);
  if (pushed_record_count_ > 0) {
    const auto* pushed = std::get_if<PushRecordsResponse>(&response);
    if (pushed != nullptr) return OnPushed(*pushed);
  } else if (!asked_.empty()) {
    const auto* fetched = std::get_if<FetchRecordsResponse>(&response);
    if (fetched != nullptr) return OnFetched(*fetched, now);
  } else {
    const auto* reconciled = std::get_if<merkle::ReconcileResponse>(&response);
    if (reconciled != nullptr) return OnReconciled(*reconciled, now);
  }
  return InvalidAnswer("response of another kind than its request");
}

void RepairSession::OnNoResponse(const WireBytes& bytes) {
  CountBytes(bytes, pushed_record_bytes_);
}

absl::Status RepairSession::OnReconciled(const merkle::ReconcileResponse& response,
                                         absl::Time now) {
  SLIP_RETURN_IF_ERROR(reconciler_.HandleResponse(response));
  for (const merkle::EntrySummary& entry : reconciler_.TakeNeeded()) {
    // Its value would only be thrown away: the version tells already.
    if (IsFromFuture(entry.version, now, limits_.clock_skew_max)) {
      ++traffic_.held_back_record_count;
    } else {
      needed_.push_back(entry);
    }
  }
  for (const base::KeyId& key_id : reconciler_.TakeOffered()) offered_.push_back(key_id);
  return absl::OkStatus();
}

absl::Status RepairSession::OnFetched(const FetchRecordsResponse& response, absl::Time now) {
  const size_t handled_count = response.handled_count;
  if (handled_count == 0 || handled_count > asked_.size()) {
    return InvalidAnswer(absl::StrCat("fetch of ", asked_.size(), " records of which ",
                                      handled_count, " were handled"));
  }
  std::set<base::KeyId> awaited;
  for (size_t index = 0; index < handled_count; ++index) {
    awaited.insert(asked_[index].key_id);
  }
  std::vector<storage::Record> records;
  for (const storage::Record& record : response.records) {
    SLIP_RETURN_IF_ERROR(CheckRecord(record));
    if (awaited.erase(base::KeyIdOf(record.key)) == 0) {
      return InvalidAnswer("fetched record that was not asked for, or twice");
    }
    ++traffic_.received_record_count;
    traffic_.received_record_bytes += PayloadBytes(record);
    if (IsFromFuture(record.version, now, limits_.clock_skew_max)) {
      ++traffic_.held_back_record_count;
    } else {
      records.push_back(record);
    }
  }
  SLIP_ASSIGN_OR_RETURN(const storage::WriteResult result,
                        store_->engine().Apply(records, storage::Atomicity::kEach, now));
  if (result.applied_count > 0) was_of_use_ = true;
  needed_.insert(needed_.begin(), asked_.begin() + handled_count, asked_.end());
  fetch_count_ = std::clamp(2 * handled_count, kFetchCountMin, kFetchCountAtFirst);
  return absl::OkStatus();
}

absl::Status RepairSession::OnPushed(const PushRecordsResponse& response) {
  if (response.applied_count > pushed_record_count_) {
    return InvalidAnswer(absl::StrCat("push of ", pushed_record_count_, " records of which ",
                                      response.applied_count, " were applied"));
  }
  traffic_.sent_record_count += pushed_record_count_;
  traffic_.sent_record_bytes += pushed_record_bytes_;
  if (response.applied_count > 0) was_of_use_ = true;
  return absl::OkStatus();
}

void RepairSession::CountBytes(const WireBytes& bytes, uint64_t record_bytes) {
  const uint64_t all = bytes.request + bytes.response;
  // Nothing, or nothing counted, may have been moved.
  if (all > record_bytes) traffic_.metadata_bytes += all - record_bytes;
}

}  // namespace slipstream::node
