// AdminService: the operator's interface, proto/slipstream/v1/admin.proto.
#ifndef SLIPSTREAM_NODE_ADMIN_SERVICE_H_
#define SLIPSTREAM_NODE_ADMIN_SERVICE_H_

#include <memory>

#include "node/serving.h"

namespace grpc {
class Service;
}  // namespace grpc

namespace slipstream::node {

// `serving` must outlive the service.
std::unique_ptr<grpc::Service> MakeAdminService(const Serving* serving);

}  // namespace slipstream::node

#endif  // SLIPSTREAM_NODE_ADMIN_SERVICE_H_
