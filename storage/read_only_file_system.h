// ReadOnlyFileSystem: another file system, through which nothing can be changed.
#ifndef SLIPSTREAM_STORAGE_READ_ONLY_FILE_SYSTEM_H_
#define SLIPSTREAM_STORAGE_READ_ONLY_FILE_SYSTEM_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/file_system.h"

namespace slipstream::storage {

// Opens every file for reading only, whatever is asked for, so that a program that would write only
// in other circumstances can be run over files that must stay as they are. Syncs do nothing; all
// that would change something is FAILED_PRECONDITION. Thread-safe.
class ReadOnlyFileSystem : public FileSystem {
 public:
  // `target` must outlive it.
  explicit ReadOnlyFileSystem(FileSystem* target) : target_(target) {}

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
  FileSystem* const target_;
};

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_READ_ONLY_FILE_SYSTEM_H_
