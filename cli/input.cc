#include "cli/input.h"

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <istream>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "cli/text.h"

namespace slipstream::cli {

absl::Status Input::Open(const std::string& path) {
  if (path == "-") return absl::OkStatus();
  errno = 0;
  file_.open(path, std::ios::binary);
  // A directory opens, and fails only when it is read.
  if (!file_ || file_.peek() == std::ifstream::traits_type::eof()) {
    if (errno != 0) {
      return absl::UnknownError(
          absl::StrCat("cannot read ", Quote(path), ": ", std::strerror(errno)));
    }
    file_.clear();
  }
  stream_ = &file_;
  return absl::OkStatus();
}

absl::StatusOr<std::string> Input::ReadAll(const std::string& path, size_t bytes_max) {
  std::string bytes(bytes_max + 1, '\0');
  stream_->read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  bytes.resize(static_cast<size_t>(stream_->gcount()));
  if (stream_->bad()) return absl::UnknownError(absl::StrCat("cannot read ", Quote(path)));
  if (bytes.size() > bytes_max) {
    return absl::ResourceExhaustedError(
        absl::StrCat(Quote(path), " is longer than ", FormatBytes(bytes_max)));
  }
  return bytes;
}

}  // namespace slipstream::cli
