// What replicas say to each other, as plain values. node/wire turns them into Protobuf and back and
// checks every bound on the way in; nothing else knows both forms.
#ifndef SLIPSTREAM_NODE_PEER_MESSAGES_H_
#define SLIPSTREAM_NODE_PEER_MESSAGES_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/digest.h"
#include "base/key_id.h"
#include "base/version.h"
#include "gossip/node_summary.h"
#include "merkle/reconcile.h"
#include "storage/entry.h"

namespace slipstream::node {

using gossip::NodeSummary;

struct ExchangeRootsRequest {
  NodeSummary sender;
};
struct ExchangeRootsResponse {
  NodeSummary responder;
};

struct FetchRecordsRequest {
  std::vector<base::KeyId> key_ids;
};
struct FetchRecordsResponse {
  std::vector<storage::Record> records;
  uint32_t handled_count = 0;  // Of the key_ids, from the front.
};

struct PushRecordsRequest {
  std::vector<std::vector<storage::Record>> groups;  // Each applied all or nothing.
};
struct PushRecordsResponse {
  uint64_t applied_count = 0;
  uint64_t held_back_count = 0;
};

using PeerRequest = std::variant<ExchangeRootsRequest, merkle::ReconcileRequest,
                                 FetchRecordsRequest, PushRecordsRequest>;
// The alternative has the index of its request's.
using PeerResponse = std::variant<ExchangeRootsResponse, merkle::ReconcileResponse,
                                  FetchRecordsResponse, PushRecordsResponse>;

// Bytes of an encoded request and response, as the transport moved them.
struct WireBytes {
  size_t request = 0;
  size_t response = 0;
};

}  // namespace slipstream::node

#endif  // SLIPSTREAM_NODE_PEER_MESSAGES_H_
