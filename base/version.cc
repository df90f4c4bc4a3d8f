#include "base/version.h"

#include <algorithm>
#include <cstddef>
#include <limits>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/check.h"

namespace slipstream::base {
namespace {

constexpr int kCounterBits = 16;
constexpr int64_t kMillisecondsMax = (int64_t{1} << 48) - 1;

}  // namespace

Hlc HlcFromTime(absl::Time time) {
  const int64_t milliseconds = std::clamp<int64_t>(absl::ToUnixMillis(time), 0, kMillisecondsMax);
  return static_cast<Hlc>(milliseconds) << kCounterBits;
}

absl::Time TimeFromHlc(Hlc hlc) {
  return absl::FromUnixMillis(static_cast<int64_t>(hlc >> kCounterBits));
}

std::string ToString(const Version& version) {
  return absl::StrFormat("%016x-%016x", version.hlc, static_cast<uint64_t>(version.actor));
}

absl::StatusOr<Version> ParseVersion(absl::string_view text) {
  constexpr size_t kDigits = 16;
  uint64_t hlc = 0;
  uint64_t actor = 0;
  const auto parse = [](absl::string_view digits, uint64_t& value) {
    return std::all_of(digits.begin(), digits.end(), absl::ascii_isxdigit) &&
           absl::SimpleHexAtoi(digits, &value);
  };
  if (text.size() != 2 * kDigits + 1 || text[kDigits] != '-' ||
      !parse(text.substr(0, kDigits), hlc) || !parse(text.substr(kDigits + 1), actor)) {
    return absl::InvalidArgumentError(
        absl::StrCat("version \"", text.substr(0, 64), "\" is not of the form <16 hex>-<16 hex>"));
  }
  return Version{.hlc = hlc, .actor = ActorId{actor}};
}

Hlc HybridClock::Next(absl::Time now, uint64_t count) {
  const Hlc wall = HlcFromTime(now);
  Hlc last = last_.load(std::memory_order_relaxed);
  Hlc next;
  do {
    // Peers' HLCs are bounded before they are observed, so the counter cannot run out of room.
    SLIP_CHECK(last <= std::numeric_limits<Hlc>::max() - count);
    next = std::max(wall, last + 1);
  } while (!last_.compare_exchange_weak(last, next + (count - 1), std::memory_order_acq_rel));
  return next;
}

void HybridClock::Observe(Hlc seen) {
  Hlc last = last_.load(std::memory_order_relaxed);
  while (last < seen && !last_.compare_exchange_weak(last, seen, std::memory_order_acq_rel)) {
  }
}

}  // namespace slipstream::base
