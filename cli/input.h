// Files and standard input, as arguments name them: "-" is standard input.
#ifndef SLIPSTREAM_CLI_INPUT_H_
#define SLIPSTREAM_CLI_INPUT_H_

#include <cstddef>
#include <fstream>
#include <istream>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace slipstream::cli {

// A stream to read from. Not thread-safe.
class Input {
 public:
  // `standard_input` must outlive this object.
  explicit Input(std::istream& standard_input) : stream_(&standard_input) {}

  // Opens `path`, unless it is "-". NOT_FOUND is never returned, since that is a key's: an error of
  // the file is UNKNOWN, with the system's reason.
  absl::Status Open(const std::string& path);

  std::istream& stream() { return *stream_; }

  // Returns all that is left. RESOURCE_EXHAUSTED if it is more than `bytes_max`, UNKNOWN if it
  // cannot be read; both name `path`.
  absl::StatusOr<std::string> ReadAll(const std::string& path, size_t bytes_max);

 private:
  std::ifstream file_;
  std::istream* stream_;
};

}  // namespace slipstream::cli

#endif  // SLIPSTREAM_CLI_INPUT_H_
