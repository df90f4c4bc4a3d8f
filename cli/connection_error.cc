#include "cli/connection_error.h"

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "cli/text.h"

namespace slipstream::cli {
namespace {

struct KnownCause {
  absl::string_view pattern;
  absl::string_view words;
};

constexpr absl::string_view kRefused = "connection refused";
constexpr absl::string_view kUnknownName = "the name is not known";

// The first that matches counts. The patterns are gRPC's and strerror's.
constexpr KnownCause kKnownCauses[] = {
    {"Connection refused", kRefused},
    {"DNS resolution failed", kUnknownName},
    {"Deadline Exceeded", "no answer in time"},
    {"No route to host", "no route to the host"},
    {"Network is unreachable", "the network is unreachable"},
    {"Connection reset by peer", "the connection was reset; is it another service?"},
    {"Socket closed", "the connection was closed; is it another service?"},
};

// Returns the last clause of "a: b: c", without its full stop.
absl::string_view LastClause(absl::string_view message) {
  const size_t separator = message.rfind(": ");
  if (separator != absl::string_view::npos) message.remove_prefix(separator + 2);
  message = absl::StripAsciiWhitespace(message);
  if (absl::EndsWith(message, ".")) message.remove_suffix(1);
  return message;
}

absl::string_view HintFor(absl::string_view cause) {
  if (cause == kRefused) return "is slipstreamd running there? Start one here with: slipstreamd";
  if (cause == kUnknownName) return "check the spelling in --endpoint or SLIPCTL_ENDPOINT";
  return "check --endpoint or SLIPCTL_ENDPOINT, and the network";
}

}  // namespace

std::string ExplainConnectionFailure(absl::string_view grpc_message) {
  for (const KnownCause& known : kKnownCauses) {
    if (absl::StrContains(grpc_message, known.pattern)) return std::string(known.words);
  }
  const absl::string_view clause = LastClause(grpc_message);
  return clause.empty() ? "the connection failed" : Escape(clause);
}

absl::Status UnreachableError(const std::vector<FailedEndpoint>& failed) {
  const absl::string_view hint = HintFor(failed.front().cause);
  if (failed.size() == 1) {
    return absl::UnavailableError(absl::StrCat("cannot reach ", failed.front().endpoint, ": ",
                                               failed.front().cause, "\nhint: ", hint));
  }
  const std::string list =
      absl::StrJoin(failed, "; ", [](std::string* out, const FailedEndpoint& one) {
        absl::StrAppend(out, one.endpoint, ": ", one.cause);
      });
  return absl::UnavailableError(
      absl::StrCat("cannot reach any of ", failed.size(), " endpoints: ", list, "\nhint: ", hint));
}

}  // namespace slipstream::cli
