#include "base/error_reason.h"

#include "absl/strings/cord.h"
#include "absl/types/optional.h"
#include "base/check.h"

namespace slipstream::base {
namespace {

constexpr absl::string_view kPayloadUrl = "slipstream.reason";

}  // namespace

absl::Status WithReason(absl::Status status, absl::string_view reason) {
  SLIP_CHECK(!status.ok());
  status.SetPayload(kPayloadUrl, absl::Cord(reason));
  return status;
}

std::string ReasonOf(const absl::Status& status) {
  const absl::optional<absl::Cord> payload = status.GetPayload(kPayloadUrl);
  return payload.has_value() ? std::string(*payload) : std::string();
}

}  // namespace slipstream::base
