#include "node/operations.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"
#include "base/error_reason.h"
#include "base/status_macros.h"
#include "node/real_clock.h"
#include "node/wire_values.h"

namespace slipstream::node {
namespace {

absl::Status BatchTooLarge(size_t size, absl::string_view what, size_t size_max) {
  return base::WithReason(absl::InvalidArgumentError(
                              absl::StrCat("group of ", size, " ", what, ", more than ", size_max)),
                          base::kReasonBatchSize);
}

absl::Status CheckSizes(const v1::Operation& operation, const storage::Limits& limits) {
  SLIP_RETURN_IF_ERROR(CheckKeySize(operation.key(), limits));
  const size_t value_bytes = operation.value().size();
  if (value_bytes <= limits.value_bytes_max) return absl::OkStatus();
  return base::WithReason(
      absl::InvalidArgumentError(
          absl::StrCat("value of ", value_bytes, " bytes, more than ", limits.value_bytes_max)),
      base::kReasonValueSize);
}

// What the engine would say, but of one operation: it refuses a run of writes as a whole.
absl::Status CheckOperation(const v1::Operation& operation, const storage::Limits& limits) {
  SLIP_RETURN_IF_ERROR(CheckKind(operation));
  return CheckSizes(operation, limits);
}

absl::StatusOr<storage::Mutation> ToMutation(const v1::Operation& operation, absl::Time now) {
  storage::Mutation mutation{.kind = operation.kind() == v1::OPERATION_KIND_PUT
                                         ? storage::Mutation::Kind::kPut
                                         : storage::Mutation::Kind::kDelete,
                             .key = operation.key(),
                             .value = operation.value()};
  if (operation.has_ttl()) {
    SLIP_ASSIGN_OR_RETURN(mutation.expires_at_ms, ExpiryOf(operation.ttl(), now));
  }
  return mutation;
}

void SetError(const absl::Status& status, v1::PipelineResponse::Result& result) {
  result.set_code(static_cast<int>(status.code()));
  result.set_message(std::string(status.message()));
  result.set_reason(base::ReasonOf(status));
}

}  // namespace

absl::Status CheckKind(const v1::Operation& operation) {
  switch (operation.kind()) {
    case v1::OPERATION_KIND_PUT:
      return absl::OkStatus();
    case v1::OPERATION_KIND_GET:
    case v1::OPERATION_KIND_DELETE:
      if (operation.has_ttl()) return InvalidField("ttl", "only a put has one");
      if (operation.value().empty()) return absl::OkStatus();
      return InvalidField("value",
                          absl::StrCat(operation.value().size(), " bytes; only a put has a value"));
    default:
      return InvalidField("kind", absl::StrCat(operation.kind(), " is no operation"));
  }
}

absl::Status CheckKeySize(absl::string_view key, const storage::Limits& limits) {
  if (!key.empty() && key.size() <= limits.key_bytes_max) return absl::OkStatus();
  return base::WithReason(absl::InvalidArgumentError(absl::StrCat(
                              "key of ", key.size(), " bytes, not 1 to ", limits.key_bytes_max)),
                          base::kReasonKeySize);
}

absl::Status CheckBatch(const Operations& operations, const storage::Limits& limits) {
  const size_t count = operations.size();
  if (count > limits.batch_operations_max) {
    return BatchTooLarge(count, "operations", limits.batch_operations_max);
  }
  size_t bytes = 0;
  for (const v1::Operation& operation : operations) {
    bytes += operation.key().size() + operation.value().size();
  }
  if (bytes > limits.batch_bytes_max) {
    return BatchTooLarge(bytes, "bytes of keys and values", limits.batch_bytes_max);
  }
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> ExpiryOf(const google::protobuf::Duration& ttl, absl::Time now) {
  const int64_t seconds_max = absl::ToInt64Seconds(kTtlMax);
  constexpr int32_t kNanosecondsMax = 999'999'999;
  const bool well_formed = ttl.seconds() >= 0 && ttl.seconds() <= seconds_max && ttl.nanos() >= 0 &&
                           ttl.nanos() <= kNanosecondsMax;
  const absl::Duration duration =
      well_formed ? absl::Seconds(ttl.seconds()) + absl::Nanoseconds(ttl.nanos())
                  : absl::ZeroDuration();
  if (duration <= absl::ZeroDuration() || duration > kTtlMax) {
    return InvalidField("ttl",
                        absl::StrCat(ttl.seconds(), " s and ", ttl.nanos(),
                                     " ns, must be longer than 0 and at most ", seconds_max, " s"));
  }
  const absl::Time expiry = now + duration;
  const int64_t expiry_ms = absl::ToUnixMillis(expiry);
  // Whatever the clock says, 0 would mean never.
  return std::max<int64_t>(1, absl::FromUnixMillis(expiry_ms) < expiry ? expiry_ms + 1 : expiry_ms);
}

absl::StatusOr<std::vector<storage::Mutation>> MutationsOf(const Operations& operations,
                                                           absl::Time now) {
  std::vector<storage::Mutation> mutations;
  mutations.reserve(operations.size());
  for (const v1::Operation& operation : operations) {
    absl::Status status = CheckKind(operation);
    if (status.ok() && operation.kind() == v1::OPERATION_KIND_GET) {
      status = InvalidField("kind", "a batch holds puts and deletes only");
    }
    if (!status.ok()) return InElement("operations", mutations.size(), status);
    const absl::StatusOr<storage::Mutation> mutation = ToMutation(operation, now);
    if (!mutation.ok()) return InElement("operations", mutations.size(), mutation.status());
    mutations.push_back(*mutation);
  }
  return mutations;
}

absl::StatusOr<std::vector<storage::Precondition>> PreconditionsOf(const Preconditions& messages) {
  using Kind = storage::Precondition::Kind;
  std::vector<storage::Precondition> preconditions;
  preconditions.reserve(messages.size());
  for (const v1::Precondition& message : messages) {
    storage::Precondition precondition{.key = message.key()};
    switch (message.condition_case()) {
      case v1::Precondition::kPresent:
        precondition.kind = message.present() ? Kind::kPresent : Kind::kAbsent;
        break;
      case v1::Precondition::kVersion:
        precondition.kind = Kind::kVersion;
        precondition.version = FromProto(message.version());
        break;
      case v1::Precondition::kValue:
        precondition.kind = Kind::kValue;
        precondition.value = message.value();
        break;
      case v1::Precondition::CONDITION_NOT_SET:
        return InElement("preconditions", preconditions.size(),
                         InvalidField("condition", "is missing"));
    }
    preconditions.push_back(precondition);
  }
  return preconditions;
}

GroupRun::GroupRun(const Serving* serving, const v1::PipelineRequest* request,
                   v1::PipelineResponse* response)
    : serving_(*serving), request_(*request), response_(*response) {
  response_.set_id(request_.id());
  response_.mutable_results()->Reserve(request_.operations_size());
}

bool GroupRun::Run(Reads reads) {
  const storage::Limits& limits = serving_.replica->options().storage.limits;
  while (next_ < request_.operations_size()) {
    const v1::Operation& operation = request_.operations(next_);
    const absl::Status status = CheckOperation(operation, limits);
    const bool gets = status.ok() && operation.kind() == v1::OPERATION_KIND_GET;
    if (gets) WriteGathered();  // So that the get sees them.
    if (gets && !GetFromMemory(operation)) {
      if (reads == Reads::kInMemory) return false;
      GetConsecutive();
      continue;
    }
    ++next_;
    if (!status.ok()) {
      SetError(status, *response_.add_results());
    } else if (!gets) {
      Gather(operation, *response_.add_results());
    }
  }
  WriteGathered();
  return true;
}

void GroupRun::Gather(const v1::Operation& operation, v1::PipelineResponse::Result& result) {
  const absl::StatusOr<storage::Mutation> mutation = ToMutation(operation, WallNow());
  if (!mutation.ok()) {
    SetError(mutation.status(), result);
    return;
  }
  mutations_.push_back(*mutation);
  mutation_results_.push_back(&result);
}

void GroupRun::WriteGathered() {
  if (mutations_.empty()) return;
  const absl::StatusOr<storage::WriteResult> written =
      serving_.Write(mutations_, storage::Atomicity::kEach);
  for (size_t i = 0; i < mutations_.size(); ++i) {
    if (written.ok()) {
      *mutation_results_[i]->mutable_version() = ToProto(written->versions[i]);
    } else {
      SetError(written.status(), *mutation_results_[i]);
    }
  }
  if (written.ok()) lsn_ = std::max(lsn_, written->lsn);
  mutations_.clear();
  mutation_results_.clear();
}

// Returns false, and has added no result, if memory cannot tell.
bool GroupRun::GetFromMemory(const v1::Operation& operation) {
  absl::optional<storage::ReadResult> known =
      serving_.replica->GetInMemory(operation.key(), WallNow());
  if (!known.has_value()) return false;
  AnswerGet(*std::move(known), *response_.add_results());
  return true;
}

// Does the next operation, which is a get, and those that follow as long as they are gets.
void GroupRun::GetConsecutive() {
  const storage::Limits& limits = serving_.replica->options().storage.limits;
  std::vector<absl::string_view> keys;
  for (int i = next_; i < request_.operations_size(); ++i) {
    const v1::Operation& operation = request_.operations(i);
    const bool gets = operation.kind() == v1::OPERATION_KIND_GET;
    if (!gets || !CheckOperation(operation, limits).ok()) break;
    keys.push_back(operation.key());
  }
  for (absl::StatusOr<storage::ReadResult>& read :
       serving_.replica->GetMany(keys, WallNow(), kAnswerBytesMax)) {
    ++next_;
    v1::PipelineResponse::Result& result = *response_.add_results();
    if (read.ok()) {
      AnswerGet(*std::move(read), result);
    } else {
      SetError(read.status(), result);
    }
  }
}

void GroupRun::AnswerGet(storage::ReadResult read, v1::PipelineResponse::Result& result) {
  lsn_ = std::max(lsn_, read.lsn);
  if (!read.found) {
    result.set_code(static_cast<int>(absl::StatusCode::kNotFound));
    result.set_reason(std::string(base::kReasonKeyNotFound));
    return;
  }
  if (value_bytes_ > 0 && value_bytes_ + read.value.size() > kAnswerBytesMax) {
    SetError(base::WithReason(absl::ResourceExhaustedError(absl::StrCat(
                                  "the group's answer is full: ", value_bytes_, " bytes, of ",
                                  kAnswerBytesMax, "; get the rest in another group")),
                              base::kReasonAnswerSize),
             result);
    return;
  }
  value_bytes_ += read.value.size();
  result.set_value(std::move(read.value));
  *result.mutable_version() = ToProto(read.version);
}

}  // namespace slipstream::node
