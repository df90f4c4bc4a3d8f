#include "storage/file_system.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace slipstream::storage {

std::string DescribeIoPath(const IoPath& path) {
  return path.direct ? "direct" : absl::StrCat("buffered (", path.why_buffered, ")");
}

void FileSystem::ReadMany(absl::Span<FileRead> reads) {
  for (FileRead& read : reads) {
    read.status = read.file->Read(read.offset, read.count, read.destination);
  }
}

std::string JoinPath(absl::string_view directory, absl::string_view name) {
  if (absl::EndsWith(directory, "/")) return absl::StrCat(directory, name);
  return absl::StrCat(directory, "/", name);
}

}  // namespace slipstream::storage
