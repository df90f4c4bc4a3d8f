// What a command works with: the flags that all commands share, and the standard streams.
#ifndef SLIPSTREAM_CLI_SESSION_H_
#define SLIPSTREAM_CLI_SESSION_H_

#include <istream>
#include <ostream>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace slipstream::cli {

enum class OutputFormat {
  kTable,  // For people.
  kJson,   // For scripts; the shapes are stable.
  kRaw,    // The bytes and nothing else.
};

struct Session {
  std::vector<std::string> endpoints;
  absl::Duration timeout;
  OutputFormat format = OutputFormat::kTable;
  std::istream& in;
  std::ostream& out;    // Data only.
  std::ostream& error;  // Messages.
};

}  // namespace slipstream::cli

#endif  // SLIPSTREAM_CLI_SESSION_H_
