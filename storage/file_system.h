// FileSystem and File: every touch of the disk goes through here, so that a test can lie about it.
//
// Two implementations: posix_file_system.h for real disks, memory_file_system.h for simulation,
// which loses, tears and damages on purpose. Neither retries, buffers or reports by log: they
// return what happened. Errors carry the path and the operation.
#ifndef SLIPSTREAM_STORAGE_FILE_SYSTEM_H_
#define SLIPSTREAM_STORAGE_FILE_SYSTEM_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace slipstream::storage {

// What addresses, offsets and lengths of all transfers of a file opened for direct I/O are
// multiples of. No device that is in use demands more; one that did would get buffered I/O.
inline constexpr size_t kDirectAlignment = 4096;

// How a file's bytes travel: between the caller's memory and the device, or through the page cache.
struct IoPath {
  bool direct = false;
  std::string why_buffered;  // Empty if direct.
};

// Returns "direct", or "buffered" and why in brackets.
std::string DescribeIoPath(const IoPath& path);

// An open file. Reads are thread-safe against everything; of the other calls, one at a time, but
// that writes of different ranges may run at once if the path is direct: else an error of one may
// be reported to another.
class File {
 public:
  virtual ~File() = default;

  // Reads exactly `count` bytes at `offset` into `destination`. OUT_OF_RANGE if the file ends
  // before; UNAVAILABLE if the device fails.
  virtual absl::Status Read(uint64_t offset, size_t count, char* destination) const = 0;

  // Writes `bytes` at `offset`, growing the file if need be. Not durable before SyncData. After an
  // error any part of the range may have been written. RESOURCE_EXHAUSTED (reason DISK_FULL) if the
  // device is full.
  virtual absl::Status Write(uint64_t offset, absl::string_view bytes) = 0;

  // Makes all completed writes durable (fdatasync). After an error nothing is known about what is
  // on disk, and a second call proves nothing: the caller must stop.
  virtual absl::Status SyncData() = 0;

  // Writes `bytes` at `offset`, within the file's length, and makes them, but nothing else,
  // durable: as Write and then SyncData, which they are two calls of, but the kernel needs one wait
  // for both (RWF_DSYNC, see pwritev2(2)). Errors as of either; after any, the caller must stop.
  virtual absl::Status WriteDurably(uint64_t offset, absl::string_view bytes) = 0;

  // Returns the file's length in bytes.
  virtual absl::StatusOr<uint64_t> Size() const = 0;

  // Returns how many names the file has now: 0 if it was removed.
  virtual absl::StatusOr<uint64_t> LinkCount() const = 0;

  // The same as long as the file is open.
  virtual IoPath io_path() const = 0;
};

// One of several reads of files of one FileSystem, and how it went; as File::Read.
struct FileRead {
  const File* file = nullptr;
  uint64_t offset = 0;
  size_t count = 0;
  char* destination = nullptr;
  absl::Status status;
};

// Held while a process owns a directory; let go when destroyed, or when the process dies.
class DirectoryLock {
 public:
  virtual ~DirectoryLock() = default;
};

enum class OpenMode {
  kRead,       // Must exist.
  kReadWrite,  // Must exist.
  kCreate,     // Must not exist. The new name is durable after SyncDirectory of its parent.
};

// Paths are absolute or relative to the working directory, '/'-separated. Thread-safe.
class FileSystem {
 public:
  virtual ~FileSystem() = default;

  // Opens a file. What a failed SyncData of an earlier life left in memory only is not seen through
  // the new handle. NOT_FOUND, ALREADY_EXISTS, PERMISSION_DENIED, RESOURCE_EXHAUSTED (descriptors,
  // space) or UNAVAILABLE (device).
  virtual absl::StatusOr<std::unique_ptr<File>> Open(absl::string_view path, OpenMode mode) = 0;

  // The same for direct I/O, or for buffered I/O where that cannot be had: File::io_path(). In
  // either case the caller must align everything to kDirectAlignment (INVALID_ARGUMENT or
  // UNAVAILABLE otherwise), and SyncData is needed as ever: the device has a cache of its own.
  virtual absl::StatusOr<std::unique_ptr<File>> OpenDirect(absl::string_view path,
                                                           OpenMode mode) = 0;

  // Makes all `reads`, in any order and all at once where the system can, and sets their status.
  // Returns when all are done.
  virtual void ReadMany(absl::Span<FileRead> reads);
  // Returns how ReadMany goes about it, for the operator.
  virtual std::string DescribeReadMany() const { return "one after the other"; }

  // Creates `path` and its missing parents, all durable; OK if it is a directory already.
  virtual absl::Status CreateDirectory(absl::string_view path) = 0;

  // Returns the names (not paths) of the entries of `path`, sorted. NOT_FOUND if there is none.
  virtual absl::StatusOr<std::vector<std::string>> ListDirectory(absl::string_view path) = 0;

  // Renames, replacing `to`, in one atomic step; durable after SyncDirectory of the parent.
  virtual absl::Status Rename(absl::string_view from, absl::string_view to) = 0;

  // Removes a file; durable after SyncDirectory of the parent.
  virtual absl::Status Remove(absl::string_view path) = 0;

  // Gives the file `from` a second name, `to`; durable after SyncDirectory of the parent. NOT_FOUND
  // and ALREADY_EXISTS as Open; FAILED_PRECONDITION where it cannot be had: on another file system,
  // or on one without links.
  virtual absl::Status Link(absl::string_view from, absl::string_view to) = 0;

  // Renames a directory in one atomic step, replacing `to` if that is an empty directory; durable
  // when this returns. Both have the same parent. NOT_FOUND, ALREADY_EXISTS.
  virtual absl::Status RenameDirectory(absl::string_view from, absl::string_view to) = 0;

  // Removes an empty directory. NOT_FOUND; FAILED_PRECONDITION if it is not empty.
  virtual absl::Status RemoveDirectory(absl::string_view path) = 0;

  // Makes the entries of directory `path` durable.
  virtual absl::Status SyncDirectory(absl::string_view path) = 0;

  // Takes the exclusive lock of directory `path`. FAILED_PRECONDITION (reason DIRECTORY_IN_USE),
  // at once, if another process or another caller of this one holds it.
  virtual absl::StatusOr<std::unique_ptr<DirectoryLock>> LockDirectory(absl::string_view path) = 0;
};

// Returns `directory` and `name` joined by one '/'.
std::string JoinPath(absl::string_view directory, absl::string_view name);

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_FILE_SYSTEM_H_
