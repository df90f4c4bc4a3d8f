// absl::Status <-> grpc::Status. The code and the message are theirs; the reason travels as the
// trailing metadata entry "slipstream-reason" (docs/errors.md).
#ifndef SLIPSTREAM_NODE_GRPC_STATUS_H_
#define SLIPSTREAM_NODE_GRPC_STATUS_H_

#include "absl/status/status.h"
#include "grpcpp/client_context.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/status.h"

namespace slipstream::node {

inline constexpr char kReasonMetadata[] = "slipstream-reason";

// Returns `status` for a call's Finish, its reason added to the trailing metadata of `context`.
grpc::Status ToGrpcStatus(const absl::Status& status, grpc::CallbackServerContext* context);

// Returns how a call ended whose context was `context`, with its reason.
absl::Status FromGrpcStatus(const grpc::Status& status, const grpc::ClientContext& context);

}  // namespace slipstream::node

#endif  // SLIPSTREAM_NODE_GRPC_STATUS_H_
