#include "storage/precondition.h"

#include <cstddef>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/error_reason.h"

namespace slipstream::storage {
namespace {

// A message is one line, whatever the key.
constexpr size_t kKeyBytesShown = 64;

}  // namespace

absl::Status ConflictOver(absl::string_view key, absl::string_view what) {
  const bool cut = key.size() > kKeyBytesShown;
  return base::WithReason(absl::AbortedError(absl::StrCat(
                              "key \"", absl::Utf8SafeCHexEscape(key.substr(0, kKeyBytesShown)),
                              cut ? "...\" " : "\" ", what)),
                          base::kReasonTransactionConflict);
}

}  // namespace slipstream::storage
