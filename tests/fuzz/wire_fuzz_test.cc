// Peer messages from hostile bytes: refused, or a message whose encoding is stable. The first byte
// chooses the message: 0 to 3 a request, 4 to 7 a response.

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/check.h"
#include "base/error_reason.h"
#include "node/wire.h"

namespace slipstream::node {
namespace {

template <typename Message>
void CheckStable(absl::string_view bytes, size_t index,
                 absl::StatusOr<Message> (*decode)(size_t, absl::string_view),
                 std::string (*encode)(const Message&)) {
  const absl::StatusOr<Message> message = decode(index, bytes);
  if (!message.ok()) {
    SLIP_CHECK(message.status().code() == absl::StatusCode::kInvalidArgument);
    SLIP_CHECK(base::ReasonOf(message.status()) == base::kReasonMessageInvalid);
    return;
  }
  const std::string encoded = encode(*message);
  const absl::StatusOr<Message> again = decode(index, encoded);
  SLIP_CHECK_OK(again.status());
  SLIP_CHECK(encode(*again) == encoded);
}

}  // namespace
}  // namespace slipstream::node

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using slipstream::node::kPeerMessageKinds;
  if (size == 0) return 0;
  const absl::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const size_t index = data[0] % kPeerMessageKinds;
  if (data[0] / kPeerMessageKinds % 2 == 0) {
    slipstream::node::CheckStable<slipstream::node::PeerRequest>(
        bytes, index, slipstream::node::DecodeRequest, slipstream::node::EncodeRequest);
  } else {
    slipstream::node::CheckStable<slipstream::node::PeerResponse>(
        bytes, index, slipstream::node::DecodeResponse, slipstream::node::EncodeResponse);
  }
  return 0;
}
