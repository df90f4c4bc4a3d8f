#include "storage/posix_file_system.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/error_reason.h"
#include "base/status_macros.h"
#include "storage/direct_io.h"

namespace slipstream::storage {
namespace {

constexpr mode_t kFileMode = 0640;
constexpr mode_t kDirectoryMode = 0750;
// Each costs a few pages.
constexpr size_t kIdleRingsMax = 16;

std::string ParentOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash + 1);
}

// Says who asked and to whom the path, or the directory that holds it, belongs.
std::string DescribePermissions(const std::string& path) {
  const std::string who = absl::StrFormat("this process has uid %d", ::geteuid());
  struct stat found;
  for (const std::string& candidate : {path, ParentOf(path)}) {
    if (::stat(candidate.c_str(), &found) != 0) continue;
    return absl::StrFormat("%s; %s belongs to uid %d with mode %04o", who, candidate, found.st_uid,
                           found.st_mode & 07777);
  }
  return who;
}

absl::Status ErrnoToStatus(int error, absl::string_view operation, const std::string& path) {
  const std::string message = absl::StrFormat("%s %s: %s", operation, path, std::strerror(error));
  switch (error) {
    case ENOENT:
      return absl::NotFoundError(message);
    case EEXIST:
      return absl::AlreadyExistsError(message);
    case EACCES:
    case EPERM:
      return absl::PermissionDeniedError(
          absl::StrCat(message, " (", DescribePermissions(path), ")"));
    case EROFS:
      return absl::PermissionDeniedError(message);
    case ENOSPC:
    case EDQUOT:
      return base::WithReason(absl::ResourceExhaustedError(message), base::kReasonDiskFull);
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return absl::ResourceExhaustedError(message);
    case ENOTDIR:
    case EISDIR:
    case ENAMETOOLONG:
    case ELOOP:
      return absl::InvalidArgumentError(message);
    default:
      return absl::UnavailableError(message);
  }
}

// Owns a file descriptor.
class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}
  ~Descriptor() {
    // What was written is made durable by SyncData, never by close: its result says nothing.
    if (value_ >= 0) ::close(value_);
  }
  Descriptor(Descriptor&& other) noexcept : value_(std::exchange(other.value_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;

  int get() const { return value_; }

 private:
  int value_;
};

absl::StatusOr<Descriptor> OpenDescriptor(const std::string& path, int flags) {
  int descriptor;
  do {
    descriptor = ::open(path.c_str(), flags | O_CLOEXEC, kFileMode);
  } while (descriptor < 0 && errno == EINTR);
  if (descriptor < 0) return ErrnoToStatus(errno, "open", path);
  return Descriptor(descriptor);
}

// Opens a file named `lock`, and holds it locked.
class PosixDirectoryLock : public DirectoryLock {
 public:
  explicit PosixDirectoryLock(Descriptor descriptor) : descriptor_(std::move(descriptor)) {}

 private:
  const Descriptor descriptor_;
};

class PosixFile : public File {
 public:
  PosixFile(std::string path, Descriptor descriptor, IoPath io_path)
      : path_(std::move(path)), descriptor_(std::move(descriptor)), io_path_(std::move(io_path)) {}

  absl::Status Read(uint64_t offset, size_t count, char* destination) const override {
    size_t done = 0;
    while (done < count) {
      const ssize_t got = ::pread(descriptor_.get(), destination + done, count - done,
                                  static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return ErrnoToStatus(errno, "read", path_);
      if (got == 0) {
        return absl::OutOfRangeError(absl::StrFormat("read %s: %d bytes at %d, but it ends at %d",
                                                     path_, count, offset, offset + done));
      }
      done += static_cast<size_t>(got);
    }
    return absl::OkStatus();
  }

  absl::Status Write(uint64_t offset, absl::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t put =
          ::pwrite(descriptor_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) return ErrnoToStatus(errno, "write", path_);
      // POSIX lets a write of more than nothing return 0; trying again for ever would hang.
      if (put == 0) return absl::UnavailableError(absl::StrCat("write ", path_, ": wrote nothing"));
      bytes.remove_prefix(static_cast<size_t>(put));
      offset += static_cast<uint64_t>(put);
    }
    return absl::OkStatus();
  }

  absl::Status SyncData() override {
    // Not even EINTR is tried again: after any error the state of the pages is unknown.
    if (::fdatasync(descriptor_.get()) != 0) return ErrnoToStatus(errno, "fdatasync", path_);
    return absl::OkStatus();
  }

  absl::Status WriteDurably(uint64_t offset, absl::string_view bytes) override {
    while (!bytes.empty()) {
      const iovec part = {.iov_base = const_cast<char*>(bytes.data()), .iov_len = bytes.size()};
      const ssize_t put =
          ::pwritev2(descriptor_.get(), &part, /*iovcnt=*/1, static_cast<off_t>(offset), RWF_DSYNC);
      // Kernels before 4.7 and some file systems do not know the flag.
      if (put < 0 && (errno == EOPNOTSUPP || errno == ENOSYS)) {
        SLIP_RETURN_IF_ERROR(Write(offset, bytes));
        return SyncData();
      }
      // As for SyncData, nothing is tried again.
      if (put < 0) return ErrnoToStatus(errno, "write and sync", path_);
      if (put == 0) return absl::UnavailableError(absl::StrCat("write ", path_, ": wrote nothing"));
      bytes.remove_prefix(static_cast<size_t>(put));
      offset += static_cast<uint64_t>(put);
    }
    return absl::OkStatus();
  }

  absl::StatusOr<uint64_t> Size() const override {
    struct stat found;
    if (::fstat(descriptor_.get(), &found) != 0) return ErrnoToStatus(errno, "fstat", path_);
    return static_cast<uint64_t>(found.st_size);
  }

  absl::StatusOr<uint64_t> LinkCount() const override {
    struct stat found;
    if (::fstat(descriptor_.get(), &found) != 0) return ErrnoToStatus(errno, "fstat", path_);
    return static_cast<uint64_t>(found.st_nlink);
  }

  IoPath io_path() const override { return io_path_; }
  int descriptor() const { return descriptor_.get(); }

 private:
  const std::string path_;
  const Descriptor descriptor_;
  const IoPath io_path_;
};

int FlagsOf(OpenMode mode) {
  switch (mode) {
    case OpenMode::kRead:
      return O_RDONLY;
    case OpenMode::kReadWrite:
      return O_RDWR;
    case OpenMode::kCreate:
      return O_RDWR | O_CREAT | O_EXCL;
  }
  return O_RDONLY;
}

// Opens `path` and drops its clean cached pages: after a failed sync in an earlier life they need
// not be on the disk, and recovery must see what is. Advice only, so its failure changes nothing.
absl::StatusOr<Descriptor> OpenCold(const std::string& path, OpenMode mode) {
  SLIP_ASSIGN_OR_RETURN(Descriptor descriptor, OpenDescriptor(path, FlagsOf(mode)));
  ::posix_fadvise(descriptor.get(), 0, 0, POSIX_FADV_DONTNEED);
  return descriptor;
}

}  // namespace

PosixFileSystem::PosixFileSystem(DirectIo direct_io, UseIoUring io_uring) : direct_io_(direct_io) {
  if (io_uring == UseIoUring::kNever) {
    io_uring_ = absl::UnavailableError("switched off");
    return;
  }
  absl::StatusOr<std::unique_ptr<IoRing>> ring = IoRing::Create();
  io_uring_ = ring.status();
  absl::MutexLock lock(&mutex_);
  if (ring.ok()) rings_.push_back(*std::move(ring));
}

PosixFileSystem::~PosixFileSystem() = default;

std::unique_ptr<IoRing> PosixFileSystem::TakeRing() {
  if (!io_uring_.ok()) return nullptr;
  {
    absl::MutexLock lock(&mutex_);
    if (!rings_.empty()) {
      std::unique_ptr<IoRing> ring = std::move(rings_.back());
      rings_.pop_back();
      return ring;
    }
  }
  // One more thread reads at the same time. If there cannot be another ring now, it does without.
  absl::StatusOr<std::unique_ptr<IoRing>> ring = IoRing::Create();
  return ring.ok() ? *std::move(ring) : nullptr;
}

void PosixFileSystem::ReadMany(absl::Span<FileRead> reads) {
  std::unique_ptr<IoRing> ring = reads.size() < 2 ? nullptr : TakeRing();
  if (ring == nullptr) return FileSystem::ReadMany(reads);
  std::vector<IoRing::Read> ring_reads;
  ring_reads.reserve(reads.size());
  for (const FileRead& read : reads) {
    const int descriptor = static_cast<const PosixFile*>(read.file)->descriptor();
    ring_reads.push_back({descriptor, read.offset, read.count, read.destination});
  }
  const absl::Status run = ring->Run(absl::MakeSpan(ring_reads));
  for (size_t i = 0; i < reads.size(); ++i) {
    const bool whole = run.ok() && ring_reads[i].result == static_cast<int>(reads[i].count);
    // What was not read, or not all of it, is read again for what there is to say about it.
    reads[i].status =
        whole ? absl::OkStatus()
              : reads[i].file->Read(reads[i].offset, reads[i].count, reads[i].destination);
  }
  if (!run.ok()) return;
  absl::MutexLock lock(&mutex_);
  if (rings_.size() < kIdleRingsMax) rings_.push_back(std::move(ring));
}

std::string PosixFileSystem::DescribeReadMany() const {
  if (io_uring_.ok()) return "io_uring";
  return absl::StrCat("one after the other (no io_uring: ", io_uring_.message(), ")");
}

absl::StatusOr<std::unique_ptr<File>> PosixFileSystem::Open(absl::string_view path, OpenMode mode) {
  std::string owned(path);
  SLIP_ASSIGN_OR_RETURN(Descriptor descriptor, OpenCold(owned, mode));
  return std::make_unique<PosixFile>(std::move(owned), std::move(descriptor),
                                     IoPath{.why_buffered = "not asked for"});
}

absl::StatusOr<std::unique_ptr<File>> PosixFileSystem::OpenDirect(absl::string_view path,
                                                                  OpenMode mode) {
  std::string owned(path);
  SLIP_ASSIGN_OR_RETURN(Descriptor descriptor, OpenCold(owned, mode));
  std::string why_buffered =
      direct_io_ == DirectIo::kNever ? "switched off" : MakeDirect(descriptor.get());
  IoPath io_path{.direct = why_buffered.empty(), .why_buffered = std::move(why_buffered)};
  return std::make_unique<PosixFile>(std::move(owned), std::move(descriptor), std::move(io_path));
}

absl::Status PosixFileSystem::CreateDirectory(absl::string_view path) {
  const std::string whole(path);
  for (size_t end = 0; end != std::string::npos;) {
    end = whole.find('/', end + 1);
    const std::string prefix = whole.substr(0, end);
    struct stat found;
    if (::stat(prefix.c_str(), &found) == 0) {
      if (!S_ISDIR(found.st_mode)) return ErrnoToStatus(ENOTDIR, "mkdir", prefix);
      continue;
    }
    if (::mkdir(prefix.c_str(), kDirectoryMode) != 0 && errno != EEXIST) {
      return ErrnoToStatus(errno, "mkdir", prefix);
    }
    SLIP_RETURN_IF_ERROR(SyncDirectory(ParentOf(prefix)));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> PosixFileSystem::ListDirectory(absl::string_view path) {
  const std::string owned(path);
  DIR* const directory = ::opendir(owned.c_str());
  if (directory == nullptr) return ErrnoToStatus(errno, "opendir", owned);
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* const entry = ::readdir(directory)) {
    const absl::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  const int error = errno;
  ::closedir(directory);
  if (error != 0) return ErrnoToStatus(error, "readdir", owned);
  std::sort(names.begin(), names.end());
  return names;
}

absl::Status PosixFileSystem::Rename(absl::string_view from, absl::string_view to) {
  const std::string source(from);
  const std::string target(to);
  if (::rename(source.c_str(), target.c_str()) != 0) return ErrnoToStatus(errno, "rename", source);
  return absl::OkStatus();
}

absl::Status PosixFileSystem::Remove(absl::string_view path) {
  const std::string owned(path);
  if (::unlink(owned.c_str()) != 0) return ErrnoToStatus(errno, "unlink", owned);
  return absl::OkStatus();
}

absl::Status PosixFileSystem::Link(absl::string_view from, absl::string_view to) {
  const std::string source(from);
  const std::string target(to);
  if (::link(source.c_str(), target.c_str()) == 0) return absl::OkStatus();
  const int error = errno;
  absl::Status status = ErrnoToStatus(error, "link", source);
  // EPERM is what a file system without links answers, and a kernel that protects others' files.
  const bool refused =
      error == EXDEV || error == EPERM || error == EOPNOTSUPP || error == EMLINK || error == ENOSYS;
  return refused ? absl::FailedPreconditionError(status.message()) : status;
}

absl::Status PosixFileSystem::RenameDirectory(absl::string_view from, absl::string_view to) {
  const std::string source(from);
  const std::string target(to);
  if (::rename(source.c_str(), target.c_str()) != 0) {
    if (errno == ENOTEMPTY) errno = EEXIST;
    return ErrnoToStatus(errno, "rename", source);
  }
  return SyncDirectory(ParentOf(target));
}

absl::Status PosixFileSystem::RemoveDirectory(absl::string_view path) {
  const std::string owned(path);
  if (::rmdir(owned.c_str()) == 0) return absl::OkStatus();
  if (errno != ENOTEMPTY && errno != EEXIST) return ErrnoToStatus(errno, "rmdir", owned);
  return absl::FailedPreconditionError(absl::StrCat("rmdir ", owned, ": it is not empty"));
}

absl::Status PosixFileSystem::SyncDirectory(absl::string_view path) {
  const std::string owned(path);
  SLIP_ASSIGN_OR_RETURN(const Descriptor descriptor, OpenDescriptor(owned, O_RDONLY | O_DIRECTORY));
  if (::fsync(descriptor.get()) != 0) return ErrnoToStatus(errno, "fsync", owned);
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<DirectoryLock>> PosixFileSystem::LockDirectory(
    absl::string_view path) {
  const std::string lock_path = JoinPath(path, "lock");
  SLIP_ASSIGN_OR_RETURN(Descriptor descriptor, OpenDescriptor(lock_path, O_RDWR | O_CREAT));
  // A lock of the open file, not of the process: two callers in one process exclude each other.
  if (::flock(descriptor.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return ErrnoToStatus(errno, "flock", lock_path);
    return base::WithReason(absl::FailedPreconditionError(absl::StrFormat(
                                "%s is in use: another process holds %s", path, lock_path)),
                            base::kReasonDirectoryInUse);
  }
  return std::make_unique<PosixDirectoryLock>(std::move(descriptor));
}

}  // namespace slipstream::storage
