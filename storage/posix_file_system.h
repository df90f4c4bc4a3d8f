// PosixFileSystem: the FileSystem of a real machine.
//
// Direct I/O for who asks for it, where the file system has it; buffered I/O for the rest;
// fdatasync after either. Many reads go through io_uring, where the kernel allows it, else one
// after the other. Every error names the operation, the path and what the operating system said.
#ifndef SLIPSTREAM_STORAGE_POSIX_FILE_SYSTEM_H_
#define SLIPSTREAM_STORAGE_POSIX_FILE_SYSTEM_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "storage/file_system.h"
#include "storage/io_ring.h"

namespace slipstream::storage {

// Whether OpenDirect tries for direct I/O at all.
enum class DirectIo { kWherePossible, kNever };

// Whether ReadMany tries for io_uring at all.
enum class UseIoUring { kWherePossible, kNever };

// Thread-safe. A directory's lock is `flock` on a file named `lock` in it.
class PosixFileSystem : public FileSystem {
 public:
  explicit PosixFileSystem(DirectIo direct_io = DirectIo::kWherePossible,
                           UseIoUring io_uring = UseIoUring::kWherePossible);
  ~PosixFileSystem() override;

  absl::StatusOr<std::unique_ptr<File>> Open(absl::string_view path, OpenMode mode) override;
  absl::StatusOr<std::unique_ptr<File>> OpenDirect(absl::string_view path, OpenMode mode) override;
  void ReadMany(absl::Span<FileRead> reads) override ABSL_LOCKS_EXCLUDED(mutex_);
  std::string DescribeReadMany() const override;
  // OK if ReadMany has io_uring, else why not.
  const absl::Status& io_uring() const { return io_uring_; }
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
  // Returns a ring that nobody uses, made if need be; null if none can be had.
  std::unique_ptr<IoRing> TakeRing() ABSL_LOCKS_EXCLUDED(mutex_);

  const DirectIo direct_io_;
  absl::Status io_uring_;  // Not OK: why there is none. Constant after construction.
  absl::Mutex mutex_;
  std::vector<std::unique_ptr<IoRing>> rings_ ABSL_GUARDED_BY(mutex_);  // That nobody uses now.
};

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_POSIX_FILE_SYSTEM_H_
