// Whether the members agree, in words.
#ifndef SLIPSTREAM_CLI_VERDICT_H_
#define SLIPSTREAM_CLI_VERDICT_H_

#include <string>

#include "absl/strings/string_view.h"
#include "slipstream/v1/admin.pb.h"

namespace slipstream::cli {

struct Verdict {
  bool converged = false;
  // "all 3 members agree on root 4f2a9c01… (12,345 keys)", or who differs and who is silent.
  std::string text;
};

// Returns the first 4 of a root's 32 bytes, "4f2a9c01…": enough to tell a few roots apart.
std::string ShortRoot(absl::string_view root);

// Judges what the members answered. Says "not converged" unless each of them did, with one root.
Verdict Judge(const v1::RootResponse& roots);

}  // namespace slipstream::cli

#endif  // SLIPSTREAM_CLI_VERDICT_H_
