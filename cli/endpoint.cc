#include "cli/endpoint.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"

namespace slipstream::cli {
namespace {

constexpr uint32_t kPortMax = 65535;

absl::Status WrongEndpoint(absl::string_view text, absl::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat("\"", text, "\" ", what, "; write HOST:PORT, for example 127.0.0.1:7400"));
}

absl::Status CheckEndpoint(absl::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == absl::string_view::npos) return WrongEndpoint(text, "has no port");
  const absl::string_view host = text.substr(0, colon);
  const absl::string_view port = text.substr(colon + 1);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (host.empty()) return WrongEndpoint(text, "has no host");
  if (!bracketed && host.find_first_of("[]:/") != absl::string_view::npos) {
    return WrongEndpoint(text, "is not an address");
  }
  uint32_t number = 0;
  const bool all_digits = std::all_of(port.begin(), port.end(), absl::ascii_isdigit);
  if (!all_digits || !absl::SimpleAtoi(port, &number) || number == 0 || number > kPortMax) {
    return WrongEndpoint(text, "has no valid port");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<std::string>> ParseEndpoints(absl::string_view text) {
  std::vector<std::string> endpoints;
  for (absl::string_view part : absl::StrSplit(text, ',')) {
    part = absl::StripAsciiWhitespace(part);
    SLIP_RETURN_IF_ERROR(CheckEndpoint(part));
    std::string endpoint(part);
    if (std::find(endpoints.begin(), endpoints.end(), endpoint) == endpoints.end()) {
      endpoints.push_back(std::move(endpoint));
    }
  }
  return endpoints;
}

}  // namespace slipstream::cli
