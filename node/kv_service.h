// KvService: the client's interface, proto/slipstream/v1/kv.proto. Its streams: scan_stream.h,
// pipeline_stream.h.
#ifndef SLIPSTREAM_NODE_KV_SERVICE_H_
#define SLIPSTREAM_NODE_KV_SERVICE_H_

#include <memory>

#include "node/serving.h"

namespace grpc {
class Service;
}  // namespace grpc

namespace slipstream::node {

// `serving` must outlive the service.
std::unique_ptr<grpc::Service> MakeKvService(const Serving* serving);

}  // namespace slipstream::node

#endif  // SLIPSTREAM_NODE_KV_SERVICE_H_
