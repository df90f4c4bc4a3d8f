// The messages of peer_messages.h as Protobuf and back: the one place that knows both forms.
//
// What comes from a peer is checked here, once: every length, count and bit. Behind it the replica
// judges only what the protocol means. Knows no gRPC: the server moves the messages of
// slipstream/v1/peer.pb.h, the simulator their bytes.
#ifndef SLIPSTREAM_NODE_WIRE_H_
#define SLIPSTREAM_NODE_WIRE_H_

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "node/peer_messages.h"
#include "node/wire_values.h"
#include "slipstream/v1/peer.pb.h"

namespace slipstream::node {

// No message of a peer is larger: one record at its ceiling, and what Protobuf adds.
inline constexpr size_t kPeerMessageBytesMax = kWireValueBytesMax + kWireKeyBytesMax + 4096;
// No list of a message has more elements: more than a message of 1 MiB holds of the smallest.
inline constexpr size_t kPeerElementsMax = 1 << 16;
inline constexpr size_t kNodeNameBytesMax = 255;

// All functions here are thread-safe. FromProto and the Decode functions return INVALID_ARGUMENT
// (MESSAGE_INVALID) naming the field, what it holds and what it may hold.

v1::ExchangeRootsRequest ToProto(ExchangeRootsRequest request);
v1::ReconcileRequest ToProto(const merkle::ReconcileRequest& request);
v1::FetchRecordsRequest ToProto(const FetchRecordsRequest& request);
v1::PushRecordsRequest ToProto(PushRecordsRequest request);
v1::ExchangeRootsResponse ToProto(ExchangeRootsResponse response);
v1::ReconcileResponse ToProto(const merkle::ReconcileResponse& response);
v1::FetchRecordsResponse ToProto(FetchRecordsResponse response);
v1::PushRecordsResponse ToProto(const PushRecordsResponse& response);

absl::StatusOr<ExchangeRootsRequest> FromProto(v1::ExchangeRootsRequest message);
absl::StatusOr<merkle::ReconcileRequest> FromProto(const v1::ReconcileRequest& message);
absl::StatusOr<FetchRecordsRequest> FromProto(const v1::FetchRecordsRequest& message);
absl::StatusOr<PushRecordsRequest> FromProto(v1::PushRecordsRequest message);
absl::StatusOr<ExchangeRootsResponse> FromProto(v1::ExchangeRootsResponse message);
absl::StatusOr<merkle::ReconcileResponse> FromProto(const v1::ReconcileResponse& message);
absl::StatusOr<FetchRecordsResponse> FromProto(v1::FetchRecordsResponse message);
absl::StatusOr<PushRecordsResponse> FromProto(const v1::PushRecordsResponse& message);

// Bytes as gRPC would carry them. Which alternative they are of is not in them: a transport tells
// by the method called, so `index`, below kPeerMessageKinds, says it.
inline constexpr size_t kPeerMessageKinds = std::variant_size_v<PeerRequest>;
static_assert(kPeerMessageKinds == std::variant_size_v<PeerResponse>);
std::string EncodeRequest(const PeerRequest& request);
std::string EncodeResponse(const PeerResponse& response);
absl::StatusOr<PeerRequest> DecodeRequest(size_t index, absl::string_view bytes);
absl::StatusOr<PeerResponse> DecodeResponse(size_t index, absl::string_view bytes);

}  // namespace slipstream::node

#endif  // SLIPSTREAM_NODE_WIRE_H_
