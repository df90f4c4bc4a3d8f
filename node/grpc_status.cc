#include "node/grpc_status.h"

#include <string>

#include "absl/strings/string_view.h"
#include "base/error_reason.h"

namespace slipstream::node {

grpc::Status ToGrpcStatus(const absl::Status& status, grpc::CallbackServerContext* context) {
  if (status.ok()) return grpc::Status::OK;
  const std::string reason = base::ReasonOf(status);
  if (!reason.empty()) context->AddTrailingMetadata(kReasonMetadata, reason);
  // Both enumerate google.rpc.Code.
  return grpc::Status(static_cast<grpc::StatusCode>(status.raw_code()),
                      std::string(status.message()));
}

absl::Status FromGrpcStatus(const grpc::Status& status, const grpc::ClientContext& context) {
  if (status.ok()) return absl::OkStatus();
  absl::Status result(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
  const auto& metadata = context.GetServerTrailingMetadata();
  const auto reason = metadata.find(kReasonMetadata);
  if (reason == metadata.end()) return result;
  return base::WithReason(result, absl::string_view(reason->second.data(), reason->second.size()));
}

}  // namespace slipstream::node
