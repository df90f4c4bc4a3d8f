// "Did you mean": the word that a mistyped one was probably meant to be.
#ifndef SLIPSTREAM_CLI_SUGGEST_H_
#define SLIPSTREAM_CLI_SUGGEST_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace slipstream::cli {

// Returns the number of insertions, deletions, replacements and swaps of neighbours that turn `a`
// into `b` (optimal string alignment).
int EditDistance(absl::string_view a, absl::string_view b);

// Returns the one of `candidates` that is closest to `word`, the first of several; empty if none is
// close: more than a third of the word, and more than one edit, would have to change.
std::string Suggest(absl::string_view word, const std::vector<std::string>& candidates);

}  // namespace slipstream::cli

#endif  // SLIPSTREAM_CLI_SUGGEST_H_
