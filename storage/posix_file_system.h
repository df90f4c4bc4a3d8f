// PosixFileSystem: the FileSystem of a real machine.
//
// Direct I/O for who asks for it, where the file system has it; buffered I/O for the rest;
// fdatasync after either. Every error names the operation, the path and what the operating system
// said.
#ifndef SLIPSTREAM_STORAGE_POSIX_FILE_SYSTEM_H_
#define SLIPSTREAM_STORAGE_POSIX_FILE_SYSTEM_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/file_system.h"

namespace slipstream::storage {

// Whether OpenDirect tries for direct I/O at all.
enum class DirectIo { kWherePossible, kNever };

// Thread-safe; has no state. A directory's lock is `flock` on a file named `lock` in it.
class PosixFileSystem : public FileSystem {
 public:
  explicit PosixFileSystem(DirectIo direct_io = DirectIo::kWherePossible) : direct_io_(direct_io) {}

  absl::StatusOr<std::unique_ptr<File>> Open(absl::string_view path, OpenMode mode) override;
  absl::StatusOr<std::unique_ptr<File>> OpenDirect(absl::string_view path, OpenMode mode) override;
  absl::Status CreateDirectory(absl::string_view path) override;
  absl::StatusOr<std::vector<std::string>> ListDirectory(absl::string_view path) override;
  absl::Status Rename(absl::string_view from, absl::string_view to) override;
  absl::Status Remove(absl::string_view path) override;
  absl::Status Link(absl::string_view from, absl::string_view to) override;
  absl::Status RenameDirectory(absl::string_view from, absl::string_view to) override;
  absl::Status RemoveDirectory(absl::string_view path) override;
  absl::Status SyncDirectory(absl::string_view path) override;
  absl::StatusOr<std::unique_ptr<DirectoryLock>> LockDirectory(absl::string_view path) override;

 private:
  const DirectIo direct_io_;
};

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_POSIX_FILE_SYSTEM_H_
