// MemoryFileSystem: a disk for tests that loses, tears, refuses and damages exactly as it is told.
//
// It keeps apart what a sync made durable and what only a running system would still see, per
// sector of 512 bytes, per file length and per directory operation: the *unsynced units*. A crash
// decides for each of them, independently, whether it reached the disk. Deterministic: the same
// calls and the same random numbers give the same bytes.
#ifndef SLIPSTREAM_STORAGE_MEMORY_FILE_SYSTEM_H_
#define SLIPSTREAM_STORAGE_MEMORY_FILE_SYSTEM_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/optional.h"
#include "base/random.h"
#include "storage/call_hook.h"
#include "storage/file_system.h"

namespace slipstream::storage {

// Thread-safe. Files and locks must not outlive it.
class MemoryFileSystem : public FileSystem {
 public:
  enum class Operation {
    kOpen,
    kCreateDirectory,
    kListDirectory,
    kRename,
    kRemove,
    kLink,
    kRenameDirectory,
    kRemoveDirectory,
    kSyncDirectory,
    kLockDirectory,
    kRead,
    kWrite,
    kSyncData,
    kSize,  // And LinkCount.
  };
  static constexpr size_t kOperationCount = 14;

  struct Fault {
    absl::optional<Operation> operation;  // nullopt: calls of any kind count and fail.
    uint64_t call = 1;                    // The first call to fail, from 1, counted from now.
    bool lasting = false;                 // All later ones fail too.
    enum class Error { kDevice, kDiskFull } error = Error::kDevice;
  };

  static constexpr size_t kSectorBytes = 512;

  MemoryFileSystem() = default;
  MemoryFileSystem(const MemoryFileSystem&) = delete;
  MemoryFileSystem& operator=(const MemoryFileSystem&) = delete;

  absl::StatusOr<std::unique_ptr<File>> Open(absl::string_view path, OpenMode mode) override;
  // Transfers that are not aligned fail with INVALID_ARGUMENT and do nothing.
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

  // Loses power: for each unsynced unit draws whether it is on the disk, gone or (a sector) torn.
  // Open files and locks are dead after it; the same object then is the disk of the next life.
  void Crash(base::Random* rng);
  // The same with every unit's fate given: unit i, 0 <= i < UnsyncedUnitCount(), is kept whole or
  // gone.
  void CrashKeeping(absl::FunctionRef<bool(size_t unit)> keeps);
  // Dies without losing power, as in SIGKILL: open files and locks are dead, all data stays.
  void Kill();
  size_t UnsyncedUnitCount() const;

  // Returns a copy with the same files and unsynced units, without handles, locks and faults.
  std::unique_ptr<MemoryFileSystem> Clone() const;

  // Makes calls fail, until ClearFaults or, if not lasting, once. A write that fails has written
  // its first half; what a failed sync should have made durable can still be read, but is gone with
  // the next Open of the file or a crash, whatever a later sync says.
  void InjectFault(const Fault& fault);
  void ClearFaults();
  // Calls so far, of all kinds or of one.
  uint64_t call_count() const;
  uint64_t call_count(Operation operation) const;

  // Refuses, with DISK_FULL, writes that would make the files longer than this in sum.
  void set_capacity_bytes(uint64_t bytes);
  // Makes Link fail as between two file systems.
  void RefuseLinks();
  uint64_t used_bytes() const;

  // Calls `hook` at the start of every read, or every write of either kind, of a file from now on,
  // from the thread that does it; it may block, and calls of different threads overlap. Empty: no
  // more.
  void set_read_hook(std::function<void()> hook) { read_hook_.Set(std::move(hook)); }
  void set_write_hook(std::function<void()> hook) { write_hook_.Set(std::move(hook)); }

  // For arranging and inspecting, past faults and counts. The file must exist, but for Install.
  void FlipBit(absl::string_view path, uint64_t offset, int bit);
  std::string Contents(absl::string_view path) const;
  void Install(absl::string_view path, absl::string_view bytes);

 private:
  friend class MemoryFile;
  friend class MemoryDirectoryLock;

  using Sector = std::array<char, kSectorBytes>;
  struct UnsyncedSector {
    Sector bytes = {};
    bool doomed = false;  // A failed sync dropped it: readable until the file is opened anew.
  };
  struct Inode {
    uint64_t durable_bytes = 0;
    uint64_t bytes = 0;
    uint64_t link_count = 1;             // Names that were ever given to it.
    std::map<uint64_t, Sector> durable;  // By index; absent: zeros.
    std::map<uint64_t, UnsyncedSector> unsynced;
  };
  using Names = std::map<std::string, std::shared_ptr<Inode>>;  // Shared with open files.
  struct DirectoryOperation {
    std::string removed;  // Empty: none.
    std::string added;    // Empty: none.
    std::shared_ptr<Inode> inode;
  };
  struct Directory {
    Names durable;
    Names names;
    std::vector<DirectoryOperation> unsynced;
  };
  struct PendingFault {
    Fault fault;
    uint64_t seen_count = 0;
  };
  enum class Fate { kGone, kKept, kTorn };

  absl::StatusOr<std::unique_ptr<File>> OpenFile(absl::string_view path, OpenMode mode,
                                                 IoPath io_path);
  // Counts a call and returns what it must fail with, if a fault is due.
  absl::Status Enter(Operation operation, absl::string_view path)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status WriteInode(Inode& inode, uint64_t offset, absl::string_view bytes)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Directory* FindDirectory(absl::string_view path) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::shared_ptr<Inode> FindInode(absl::string_view path) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  uint64_t UsedBytes() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // All inodes that a name, durable or not, leads to, in a fixed order.
  std::vector<std::shared_ptr<Inode>> Inodes() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Ends the life; asks `fate` once for each unsynced unit, in order.
  void EndLife(absl::FunctionRef<Fate()> fate, absl::FunctionRef<size_t()> torn_bytes)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  static Sector ReadSector(const Inode& inode, uint64_t index);
  static void SettleInode(Inode& inode, absl::FunctionRef<Fate()> fate,
                          absl::FunctionRef<size_t()> torn_bytes);
  static void Apply(const DirectoryOperation& operation, Names& names);

  CallHook read_hook_;
  CallHook write_hook_;

  mutable absl::Mutex mutex_;
  std::map<std::string, Directory> directories_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, uint64_t> locks_ ABSL_GUARDED_BY(mutex_);  // Path to life.
  std::vector<PendingFault> faults_ ABSL_GUARDED_BY(mutex_);
  std::array<uint64_t, kOperationCount> call_counts_ ABSL_GUARDED_BY(mutex_) = {};
  uint64_t capacity_bytes_ ABSL_GUARDED_BY(mutex_) = UINT64_MAX;
  bool refuses_links_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t life_ ABSL_GUARDED_BY(mutex_) = 0;  // Handles of another life are dead.
};

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_MEMORY_FILE_SYSTEM_H_
