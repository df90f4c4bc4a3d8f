#include "cli/duration.h"

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace slipstream::cli {
namespace {

// Returns "5 h 1 min"; the lesser unit is left out when its count is 0.
std::string TwoUnits(int64_t count, absl::string_view unit, int64_t lesser_count,
                     absl::string_view lesser_unit) {
  std::string text = absl::StrCat(count, " ", unit);
  if (lesser_count > 0) absl::StrAppend(&text, " ", lesser_count, " ", lesser_unit);
  return text;
}

}  // namespace

absl::StatusOr<absl::Duration> ParseDuration(absl::string_view text) {
  absl::Duration duration;
  if (!absl::ParseDuration(text, &duration)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\" is not a duration; write 500ms, 2s or 1m30s"));
  }
  if (duration <= absl::ZeroDuration() || duration > kDurationMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\" is out of range; write more than 0 and at most ",
                     absl::FormatDuration(kDurationMax)));
  }
  return duration;
}

std::string DescribeDuration(absl::Duration duration) {
  if (duration < absl::Seconds(1)) {
    return absl::StrCat(absl::ToInt64Milliseconds(duration), " ms");
  }
  if (duration < absl::Seconds(10)) {
    const double tenths = static_cast<double>(duration / absl::Milliseconds(100));
    return absl::StrFormat("%g s", tenths / 10);
  }
  const int64_t seconds = absl::ToInt64Seconds(duration);
  if (seconds < 60) return absl::StrCat(seconds, " s");
  const int64_t minutes = seconds / 60;
  if (minutes < 60) return TwoUnits(minutes, "min", seconds % 60, "s");
  const int64_t hours = minutes / 60;
  if (hours < 24) return TwoUnits(hours, "h", minutes % 60, "min");
  const int64_t days = hours / 24;
  return TwoUnits(days, days == 1 ? "day" : "days", hours % 24, "h");
}

}  // namespace slipstream::cli
