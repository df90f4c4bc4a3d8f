// PeerService: answers the other members, proto/slipstream/v1/peer.proto. What their bytes may hold
// is wire.h's affair, what it means the replica's.
#ifndef SLIPSTREAM_NODE_PEER_SERVICE_H_
#define SLIPSTREAM_NODE_PEER_SERVICE_H_

#include <memory>

#include "node/serving.h"

namespace grpc {
class Service;
}  // namespace grpc

namespace slipstream::node {

// `serving` must outlive the service.
std::unique_ptr<grpc::Service> MakePeerService(const Serving* serving);

}  // namespace slipstream::node

#endif  // SLIPSTREAM_NODE_PEER_SERVICE_H_
