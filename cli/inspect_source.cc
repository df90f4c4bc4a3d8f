#include "cli/inspect_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/status_macros.h"
#include "cli/text.h"
#include "storage/segment_scan.h"

namespace slipstream::cli {
namespace {

absl::Status ErrorOf(const std::string& path, int error) {
  if (error == ENOENT || error == ENOTDIR) {
    return absl::NotFoundError(absl::StrCat("no file ", Quote(path)));
  }
  return absl::UnknownError(absl::StrCat("cannot read ", Quote(path), ": ", std::strerror(error)));
}

class FileSource : public InspectSource {
 public:
  // Takes over the open file.
  FileSource(std::string path, int descriptor, uint64_t size)
      : path_(std::move(path)), descriptor_(descriptor), size_(size) {}
  FileSource(const FileSource&) = delete;
  FileSource& operator=(const FileSource&) = delete;
  ~FileSource() override { close(descriptor_); }

  uint64_t size() const override { return size_; }

  absl::StatusOr<std::string> Read(uint64_t offset, size_t count) const override {
    SLIP_CHECK(offset <= size_);
    SLIP_CHECK(count <= size_ - offset);
    std::string bytes(count, '\0');
    size_t done = 0;
    while (done < count) {
      const ssize_t got =
          pread(descriptor_, bytes.data() + done, count - done, static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) {
        return absl::UnknownError(absl::StrCat("cannot read ", Quote(path_), " at offset ",
                                               offset + done, ": ", std::strerror(errno)));
      }
      if (got == 0) {
        return absl::UnknownError(absl::StrCat(Quote(path_), " was cut short at ", offset + done,
                                               " bytes while it was read"));
      }
      done += static_cast<size_t>(got);
    }
    return bytes;
  }

 private:
  const std::string path_;
  const int descriptor_;
  const uint64_t size_;
};

}  // namespace

absl::StatusOr<std::string> MemorySource::Read(uint64_t offset, size_t count) const {
  SLIP_CHECK(offset <= bytes_.size());
  SLIP_CHECK(count <= bytes_.size() - offset);
  return bytes_.substr(offset, count);
}

absl::StatusOr<std::unique_ptr<InspectSource>> OpenInspectSource(const std::string& path) {
  // Who opens a pipe without O_NONBLOCK waits for a writer.
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return ErrorOf(path, errno);
  struct stat status = {};
  if (fstat(descriptor, &status) != 0) {
    const int error = errno;
    close(descriptor);
    return ErrorOf(path, error);
  }
  auto source =
      std::make_unique<FileSource>(path, descriptor, static_cast<uint64_t>(status.st_size));
  if (!S_ISREG(status.st_mode)) {
    return absl::UnknownError(absl::StrCat("cannot read ", Quote(path), ": not a regular file"));
  }
  return source;
}

absl::StatusOr<bool> IsDirectory(const std::string& path) {
  struct stat status = {};
  if (stat(path.c_str(), &status) != 0) return ErrorOf(path, errno);
  return S_ISDIR(status.st_mode);
}

absl::Status VisitPieces(
    const InspectSource& source, uint64_t begin, uint64_t end,
    absl::FunctionRef<absl::Status(uint64_t offset, absl::string_view piece)> visit) {
  for (uint64_t offset = begin; offset < end; offset += kInspectPieceBytes) {
    const size_t count = std::min<uint64_t>(kInspectPieceBytes, end - offset);
    SLIP_ASSIGN_OR_RETURN(const std::string piece, source.Read(offset, count));
    SLIP_RETURN_IF_ERROR(visit(offset, piece));
  }
  return absl::OkStatus();
}

absl::StatusOr<uint32_t> CrcOf(const InspectSource& source, uint64_t begin, uint64_t end) {
  uint32_t crc = base::Crc32c({});
  SLIP_RETURN_IF_ERROR(
      VisitPieces(source, begin, end, [&crc](uint64_t /*offset*/, absl::string_view piece) {
        crc = base::ExtendCrc32c(crc, piece);
        return absl::OkStatus();
      }));
  return crc;
}

absl::StatusOr<uint64_t> FindNonZero(const InspectSource& source, uint64_t begin) {
  uint64_t found = source.size();
  const absl::Status status =
      VisitPieces(source, begin, source.size(), [&found](uint64_t offset, absl::string_view piece) {
        if (storage::IsZero(piece)) return absl::OkStatus();
        found = offset + piece.find_first_not_of('\0');
        return absl::CancelledError("found");
      });
  if (!status.ok() && !absl::IsCancelled(status)) return status;
  return found;
}

}  // namespace slipstream::cli
