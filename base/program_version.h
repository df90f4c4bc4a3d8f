// The version of this release, which slipstreamd and slipctl share.
#ifndef SLIPSTREAM_BASE_PROGRAM_VERSION_H_
#define SLIPSTREAM_BASE_PROGRAM_VERSION_H_

#include "absl/strings/string_view.h"

namespace slipstream::base {

inline constexpr absl::string_view kProgramVersion = "0.1.0";

}  // namespace slipstream::base

#endif  // SLIPSTREAM_BASE_PROGRAM_VERSION_H_
