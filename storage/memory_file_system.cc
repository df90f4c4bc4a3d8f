#include "storage/memory_file_system.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_format.h"
#include "base/check.h"
#include "base/error_reason.h"
#include "base/status_macros.h"

namespace slipstream::storage {
namespace {

constexpr size_t kSectorBytes = MemoryFileSystem::kSectorBytes;

// Returns `path` without slashes at its end.
absl::string_view Trim(absl::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  return path;
}

absl::string_view ParentOf(absl::string_view path) {
  const size_t slash = path.rfind('/');
  if (slash == absl::string_view::npos) return ".";
  return slash == 0 ? "/" : Trim(path.substr(0, slash));
}

absl::string_view NameOf(absl::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == absl::string_view::npos ? path : path.substr(slash + 1);
}

absl::Status DiskFull(absl::string_view path) {
  return base::WithReason(
      absl::ResourceExhaustedError(absl::StrFormat("write %s: no space left on device", path)),
      base::kReasonDiskFull);
}

}  // namespace

// A handle of one life.
class MemoryFile : public File {
 public:
  MemoryFile(MemoryFileSystem* fs, std::string path, std::shared_ptr<MemoryFileSystem::Inode> inode,
             uint64_t life, IoPath io_path)
      : fs_(fs),
        path_(std::move(path)),
        inode_(std::move(inode)),
        life_(life),
        io_path_(std::move(io_path)) {}

  absl::Status Read(uint64_t offset, size_t count, char* destination) const override {
    fs_->read_hook_.Run();
    absl::MutexLock lock(&fs_->mutex_);
    SLIP_RETURN_IF_ERROR(CheckAligned(offset, {destination, count}));
    SLIP_RETURN_IF_ERROR(Enter(MemoryFileSystem::Operation::kRead));
    if (offset + count > inode_->bytes) {
      return absl::OutOfRangeError(absl::StrFormat("read %s: %d bytes at %d, but it ends at %d",
                                                   path_, count, offset, inode_->bytes));
    }
    while (count > 0) {
      const MemoryFileSystem::Sector sector =
          MemoryFileSystem::ReadSector(*inode_, offset / kSectorBytes);
      const size_t start = offset % kSectorBytes;
      const size_t part = std::min(count, kSectorBytes - start);
      std::memcpy(destination, sector.data() + start, part);
      destination += part;
      offset += part;
      count -= part;
    }
    return absl::OkStatus();
  }

  absl::Status Write(uint64_t offset, absl::string_view bytes) override {
    fs_->write_hook_.Run();
    absl::MutexLock lock(&fs_->mutex_);
    return WriteLocked(offset, bytes);
  }

  absl::Status WriteDurably(uint64_t offset, absl::string_view bytes) override {
    fs_->write_hook_.Run();
    absl::MutexLock lock(&fs_->mutex_);
    SLIP_RETURN_IF_ERROR(WriteLocked(offset, bytes));
    const uint64_t first = offset / kSectorBytes;
    const uint64_t end = (offset + bytes.size() + kSectorBytes - 1) / kSectorBytes;
    return SyncLocked([first, end](uint64_t index) { return index >= first && index < end; });
  }

  absl::Status SyncData() override {
    absl::MutexLock lock(&fs_->mutex_);
    SLIP_RETURN_IF_ERROR(SyncLocked([](uint64_t) { return true; }));
    inode_->durable_bytes = inode_->bytes;
    return absl::OkStatus();
  }

  absl::StatusOr<uint64_t> Size() const override {
    absl::MutexLock lock(&fs_->mutex_);
    SLIP_RETURN_IF_ERROR(Enter(MemoryFileSystem::Operation::kSize));
    return inode_->bytes;
  }

  absl::StatusOr<uint64_t> LinkCount() const override {
    absl::MutexLock lock(&fs_->mutex_);
    SLIP_RETURN_IF_ERROR(Enter(MemoryFileSystem::Operation::kSize));
    uint64_t count = 0;
    for (const auto& [path, directory] : fs_->directories_)
      for (const auto& [name, inode] : directory.names) count += inode == inode_;
    return count;
  }

  IoPath io_path() const override { return io_path_; }

 private:
  absl::Status WriteLocked(uint64_t offset, absl::string_view bytes)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(fs_->mutex_) {
    SLIP_RETURN_IF_ERROR(CheckAligned(offset, bytes));
    if (absl::Status status = Enter(MemoryFileSystem::Operation::kWrite); !status.ok()) {
      if (life_ == fs_->life_) {
        fs_->WriteInode(*inode_, offset, bytes.substr(0, bytes.size() / 2)).IgnoreError();
      }
      return status;
    }
    if (!fs_->WriteInode(*inode_, offset, bytes).ok()) return DiskFull(path_);
    return absl::OkStatus();
  }

  // Makes those unsynced sectors durable for whose index `covers` is true, or dooms them.
  absl::Status SyncLocked(absl::FunctionRef<bool(uint64_t index)> covers)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(fs_->mutex_) {
    const absl::Status status = Enter(MemoryFileSystem::Operation::kSyncData);
    if (!status.ok()) {
      for (auto& [index, sector] : inode_->unsynced) sector.doomed |= covers(index);
      return status;
    }
    std::erase_if(inode_->unsynced, [&](const auto& item) {
      const bool syncs = covers(item.first) && !item.second.doomed;
      if (syncs) inode_->durable[item.first] = item.second.bytes;
      return syncs;
    });
    return absl::OkStatus();
  }

  // Refuses what the kernel would refuse of a file opened for direct I/O.
  absl::Status CheckAligned(uint64_t offset, absl::string_view memory) const {
    const auto address = reinterpret_cast<uintptr_t>(memory.data());
    const bool aligned = (offset | memory.size() | address) % kDirectAlignment == 0;
    if (!io_path_.direct || aligned) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrFormat("%s: %d bytes at %d to or from %p: not "
                        "aligned",
                        path_, memory.size(), offset, static_cast<const void*>(memory.data())));
  }

  absl::Status Enter(MemoryFileSystem::Operation operation) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(fs_->mutex_) {
    if (life_ != fs_->life_) {
      return absl::UnavailableError(absl::StrFormat("%s: this handle died in a crash", path_));
    }
    return fs_->Enter(operation, path_);
  }

  MemoryFileSystem* const fs_;
  const std::string path_;
  const std::shared_ptr<MemoryFileSystem::Inode> inode_;
  const uint64_t life_;
  const IoPath io_path_;
};

class MemoryDirectoryLock : public DirectoryLock {
 public:
  MemoryDirectoryLock(MemoryFileSystem* fs, std::string path, uint64_t life)
      : fs_(fs), path_(std::move(path)), life_(life) {}
  ~MemoryDirectoryLock() override {
    absl::MutexLock lock(&fs_->mutex_);
    if (life_ == fs_->life_) fs_->locks_.erase(path_);
  }

 private:
  MemoryFileSystem* const fs_;
  const std::string path_;
  const uint64_t life_;
};

absl::Status MemoryFileSystem::Enter(Operation operation, absl::string_view path) {
  ++call_counts_[static_cast<size_t>(operation)];
  absl::Status result;
  for (PendingFault& pending : faults_) {
    const Fault& fault = pending.fault;
    if (fault.operation.has_value() && *fault.operation != operation) continue;
    ++pending.seen_count;
    const bool due =
        fault.lasting ? pending.seen_count >= fault.call : pending.seen_count == fault.call;
    if (!due || !result.ok()) continue;
    result = fault.error == Fault::Error::kDiskFull
                 ? DiskFull(path)
                 : absl::UnavailableError(absl::StrFormat("%s: input/output error", path));
  }
  return result;
}

MemoryFileSystem::Directory* MemoryFileSystem::FindDirectory(absl::string_view path) {
  const auto found = directories_.find(std::string(Trim(path)));
  return found == directories_.end() ? nullptr : &found->second;
}

std::shared_ptr<MemoryFileSystem::Inode> MemoryFileSystem::FindInode(absl::string_view path) const {
  const auto directory = directories_.find(std::string(ParentOf(path)));
  if (directory == directories_.end()) return nullptr;
  const auto found = directory->second.names.find(std::string(NameOf(path)));
  return found == directory->second.names.end() ? nullptr : found->second;
}

absl::StatusOr<std::unique_ptr<File>> MemoryFileSystem::Open(absl::string_view path,
                                                             OpenMode mode) {
  return OpenFile(path, mode, {.why_buffered = "not asked for"});
}

absl::StatusOr<std::unique_ptr<File>> MemoryFileSystem::OpenDirect(absl::string_view path,
                                                                   OpenMode mode) {
  return OpenFile(path, mode, {.direct = true});
}

absl::StatusOr<std::unique_ptr<File>> MemoryFileSystem::OpenFile(absl::string_view path,
                                                                 OpenMode mode, IoPath io_path) {
  absl::MutexLock lock(&mutex_);
  SLIP_RETURN_IF_ERROR(Enter(Operation::kOpen, path));
  std::shared_ptr<Inode> inode = FindInode(path);
  if (mode == OpenMode::kCreate) {
    if (inode != nullptr) return absl::AlreadyExistsError(absl::StrFormat("open %s: exists", path));
    Directory* const directory = FindDirectory(ParentOf(path));
    if (directory == nullptr) {
      return absl::NotFoundError(absl::StrFormat("open %s: no such directory", path));
    }
    inode = std::make_shared<Inode>();
    DirectoryOperation operation{.added = std::string(NameOf(path)), .inode = inode};
    Apply(operation, directory->names);
    directory->unsynced.push_back(std::move(operation));
  }
  if (inode == nullptr) return absl::NotFoundError(absl::StrFormat("open %s: no such file", path));
  std::erase_if(inode->unsynced, [](const auto& item) { return item.second.doomed; });
  return std::make_unique<MemoryFile>(this, std::string(path), std::move(inode), life_,
                                      std::move(io_path));
}

absl::Status MemoryFileSystem::CreateDirectory(absl::string_view path) {
  absl::MutexLock lock(&mutex_);
  SLIP_RETURN_IF_ERROR(Enter(Operation::kCreateDirectory, path));
  directories_.try_emplace(std::string(Trim(path)));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> MemoryFileSystem::ListDirectory(absl::string_view path) {
  absl::MutexLock lock(&mutex_);
  SLIP_RETURN_IF_ERROR(Enter(Operation::kListDirectory, path));
  Directory* const directory = FindDirectory(path);
  if (directory == nullptr) {
    return absl::NotFoundError(absl::StrFormat("list %s: no such directory", path));
  }
  std::vector<std::string> names;
  for (const auto& [name, inode] : directory->names) names.push_back(name);
  return names;
}

absl::Status MemoryFileSystem::Rename(absl::string_view from, absl::string_view to) {
  absl::MutexLock lock(&mutex_);
  SLIP_RETURN_IF_ERROR(Enter(Operation::kRename, from));
  SLIP_CHECK(ParentOf(from) == ParentOf(to));
  std::shared_ptr<Inode> inode = FindInode(from);
  if (inode == nullptr)
    return absl::NotFoundError(absl::StrFormat("rename %s: no such file", from));
  Directory* const directory = FindDirectory(ParentOf(from));
  DirectoryOperation operation{.removed = std::string(NameOf(from)),
                               .added = std::string(NameOf(to)),
                               .inode = std::move(inode)};
  Apply(operation, directory->names);
  directory->unsynced.push_back(std::move(operation));
  return absl::OkStatus();
}

absl::Status MemoryFileSystem::Remove(absl::string_view path) {
  absl::MutexLock lock(&mutex_);
  SLIP_RETURN_IF_ERROR(Enter(Operation::kRemove, path));
  if (FindInode(path) == nullptr) {
    return absl::NotFoundError(absl::StrFormat("remove %s: no such file", path));
  }
  Directory* const directory = FindDirectory(ParentOf(path));
  DirectoryOperation operation{.removed = std::string(NameOf(path))};
  Apply(operation, directory->names);
  directory->unsynced.push_back(std::move(operation));
  return absl::OkStatus();
}

absl::Status MemoryFileSystem::Link(absl::string_view from, absl::string_view to) {
  absl::MutexLock lock(&mutex_);
  SLIP_RETURN_IF_ERROR(Enter(Operation::kLink, from));
  std::shared_ptr<Inode> inode = FindInode(from);
  Directory* const directory = FindDirectory(ParentOf(to));
  if (inode == nullptr || directory == nullptr) {
    return absl::NotFoundError(absl::StrFormat("link %s to %s: not there", from, to));
  }
  if (FindInode(to) != nullptr) {
    return absl::AlreadyExistsError(absl::StrFormat("link %s: exists", to));
  }
  if (refuses_links_) {
    return absl::FailedPreconditionError(absl::StrFormat("link %s: another file system", from));
  }
  ++inode->link_count;
  DirectoryOperation operation{.added = std::string(NameOf(to)), .inode = std::move(inode)};
  Apply(operation, directory->names);
  directory->unsynced.push_back(std::move(operation));
  return absl::OkStatus();
}

absl::Status MemoryFileSystem::RenameDirectory(absl::string_view from, absl::string_view to) {
  absl::MutexLock lock(&mutex_);
  SLIP_RETURN_IF_ERROR(Enter(Operation::kRenameDirectory, from));
  SLIP_CHECK(ParentOf(from) == ParentOf(to));
  const auto source = directories_.find(std::string(Trim(from)));
  if (source == directories_.end()) {
    return absl::NotFoundError(absl::StrFormat("rename %s: no such directory", from));
  }
  const Directory* const target = FindDirectory(to);
  if (target != nullptr && !target->names.empty()) {
    return absl::AlreadyExistsError(absl::StrFormat("rename %s: %s is not empty", from, to));
  }
  Directory moved = std::move(source->second);
  directories_.erase(source);
  directories_[std::string(Trim(to))] = std::move(moved);
  return absl::OkStatus();
}

absl::Status MemoryFileSystem::RemoveDirectory(absl::string_view path) {
  absl::MutexLock lock(&mutex_);
  SLIP_RETURN_IF_ERROR(Enter(Operation::kRemoveDirectory, path));
  const Directory* const directory = FindDirectory(path);
  if (directory == nullptr) {
    return absl::NotFoundError(absl::StrFormat("rmdir %s: no such directory", path));
  }
  if (!directory->names.empty()) {
    return absl::FailedPreconditionError(absl::StrFormat("rmdir %s: it is not empty", path));
  }
  directories_.erase(std::string(Trim(path)));
  return absl::OkStatus();
}

absl::Status MemoryFileSystem::SyncDirectory(absl::string_view path) {
  absl::MutexLock lock(&mutex_);
  SLIP_RETURN_IF_ERROR(Enter(Operation::kSyncDirectory, path));
  Directory* const directory = FindDirectory(path);
  if (directory == nullptr) {
    return absl::NotFoundError(absl::StrFormat("sync %s: no such directory", path));
  }
  directory->durable = directory->names;
  directory->unsynced.clear();
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<DirectoryLock>> MemoryFileSystem::LockDirectory(
    absl::string_view path) {
  absl::MutexLock lock(&mutex_);
  SLIP_RETURN_IF_ERROR(Enter(Operation::kLockDirectory, path));
  if (FindDirectory(path) == nullptr) {
    return absl::NotFoundError(absl::StrFormat("lock %s: no such directory", path));
  }
  std::string owned(Trim(path));
  if (!locks_.emplace(owned, life_).second) {
    return base::WithReason(
        absl::FailedPreconditionError(absl::StrFormat("%s is in use: it is locked", path)),
        base::kReasonDirectoryInUse);
  }
  return std::make_unique<MemoryDirectoryLock>(this, std::move(owned), life_);
}

MemoryFileSystem::Sector MemoryFileSystem::ReadSector(const Inode& inode, uint64_t index) {
  if (const auto found = inode.unsynced.find(index); found != inode.unsynced.end()) {
    return found->second.bytes;
  }
  const auto found = inode.durable.find(index);
  return found == inode.durable.end() ? Sector{} : found->second;
}

absl::Status MemoryFileSystem::WriteInode(Inode& inode, uint64_t offset, absl::string_view bytes) {
  const uint64_t end = offset + bytes.size();
  if (end > inode.bytes) {
    if (UsedBytes() + (end - inode.bytes) > capacity_bytes_) return DiskFull("");
    inode.bytes = end;
  }
  while (!bytes.empty()) {
    const uint64_t index = offset / kSectorBytes;
    const size_t start = offset % kSectorBytes;
    const absl::string_view part = bytes.substr(0, kSectorBytes - start);
    Sector sector = ReadSector(inode, index);
    std::memcpy(sector.data() + start, part.data(), part.size());
    // Zeros over zeros make no difference that a crash could show.
    const bool is_new = inode.unsynced.count(index) == 0 && inode.durable.count(index) == 0;
    if (!is_new || sector != Sector{}) inode.unsynced[index] = {.bytes = sector};
    bytes.remove_prefix(part.size());
    offset += part.size();
  }
  return absl::OkStatus();
}

void MemoryFileSystem::Apply(const DirectoryOperation& operation, Names& names) {
  if (!operation.removed.empty()) names.erase(operation.removed);
  if (!operation.added.empty()) names[operation.added] = operation.inode;
}

uint64_t MemoryFileSystem::UsedBytes() const {
  uint64_t used = 0;
  std::vector<const Inode*> linked;  // Those with more names than one, once each.
  for (const auto& [path, directory] : directories_) {
    for (const auto& [name, inode] : directory.names) {
      const bool counted = std::find(linked.begin(), linked.end(), inode.get()) != linked.end();
      if (counted) continue;
      if (inode->link_count > 1) linked.push_back(inode.get());
      used += inode->bytes;
    }
  }
  return used;
}

std::vector<std::shared_ptr<MemoryFileSystem::Inode>> MemoryFileSystem::Inodes() const {
  std::vector<std::shared_ptr<Inode>> inodes;
  const auto add = [&inodes](const std::shared_ptr<Inode>& inode) {
    const bool known = std::find(inodes.begin(), inodes.end(), inode) != inodes.end();
    if (inode != nullptr && !known) inodes.push_back(inode);
  };
  for (const auto& [path, directory] : directories_) {
    for (const auto& [name, inode] : directory.durable) add(inode);
    for (const DirectoryOperation& operation : directory.unsynced) add(operation.inode);
  }
  return inodes;
}

void MemoryFileSystem::SettleInode(Inode& inode, absl::FunctionRef<Fate()> fate,
                                   absl::FunctionRef<size_t()> torn_bytes) {
  uint64_t bytes = inode.durable_bytes;
  if (inode.bytes != inode.durable_bytes && fate() != Fate::kGone) bytes = inode.bytes;
  for (const auto& [index, unsynced] : inode.unsynced) {
    if (unsynced.doomed) continue;
    const Fate drawn = fate();
    if (drawn == Fate::kGone) continue;
    const size_t count = drawn == Fate::kTorn ? torn_bytes() : kSectorBytes;
    std::copy_n(unsynced.bytes.begin(), count, inode.durable[index].begin());
    bytes = std::max(bytes, std::min(inode.bytes, (index + 1) * kSectorBytes));
  }
  inode.unsynced.clear();
  inode.durable_bytes = inode.bytes = bytes;
}

void MemoryFileSystem::EndLife(absl::FunctionRef<Fate()> fate,
                               absl::FunctionRef<size_t()> torn_bytes) {
  for (const std::shared_ptr<Inode>& inode : Inodes()) SettleInode(*inode, fate, torn_bytes);
  for (auto& [path, directory] : directories_) {
    for (const DirectoryOperation& operation : directory.unsynced) {
      if (fate() != Fate::kGone) Apply(operation, directory.durable);
    }
    directory.unsynced.clear();
    directory.names = directory.durable;
  }
  locks_.clear();
  ++life_;
}

void MemoryFileSystem::Crash(base::Random* rng) {
  absl::MutexLock lock(&mutex_);
  // All gone and all kept are as likely as any mixture: they are the crashes that happen most.
  const uint64_t mood = rng->Below(4);
  const auto fate = [rng, mood] {
    if (mood == 0) return Fate::kGone;
    if (mood == 1) return Fate::kKept;
    const uint64_t drawn = rng->Below(5);
    return drawn < 2 ? Fate::kGone : drawn < 4 ? Fate::kKept : Fate::kTorn;
  };
  const auto torn_bytes = [rng] { return static_cast<size_t>(rng->Below(kSectorBytes)); };
  EndLife(fate, torn_bytes);
}

void MemoryFileSystem::CrashKeeping(absl::FunctionRef<bool(size_t unit)> keeps) {
  absl::MutexLock lock(&mutex_);
  size_t unit = 0;
  EndLife([&] { return keeps(unit++) ? Fate::kKept : Fate::kGone; }, [] { return size_t{0}; });
}

void MemoryFileSystem::Kill() {
  absl::MutexLock lock(&mutex_);
  locks_.clear();
  ++life_;
}

size_t MemoryFileSystem::UnsyncedUnitCount() const {
  absl::MutexLock lock(&mutex_);
  size_t count = 0;
  for (const std::shared_ptr<Inode>& inode : Inodes()) {
    if (inode->bytes != inode->durable_bytes) ++count;
    for (const auto& [index, unsynced] : inode->unsynced) count += unsynced.doomed ? 0 : 1;
  }
  for (const auto& [path, directory] : directories_) count += directory.unsynced.size();
  return count;
}

std::unique_ptr<MemoryFileSystem> MemoryFileSystem::Clone() const {
  absl::MutexLock lock(&mutex_);
  auto clone = std::make_unique<MemoryFileSystem>();
  absl::MutexLock clone_lock(&clone->mutex_);
  std::map<const Inode*, std::shared_ptr<Inode>> copies;
  const auto copy = [&copies](std::shared_ptr<Inode>& inode) {
    if (inode == nullptr) return;
    std::shared_ptr<Inode>& made = copies[inode.get()];
    if (made == nullptr) made = std::make_shared<Inode>(*inode);
    inode = made;
  };
  clone->directories_ = directories_;
  for (auto& [path, directory] : clone->directories_) {
    for (auto& [name, inode] : directory.durable) copy(inode);
    for (auto& [name, inode] : directory.names) copy(inode);
    for (DirectoryOperation& operation : directory.unsynced) copy(operation.inode);
  }
  clone->capacity_bytes_ = capacity_bytes_;
  clone->call_counts_ = call_counts_;
  return clone;
}

void MemoryFileSystem::InjectFault(const Fault& fault) {
  absl::MutexLock lock(&mutex_);
  faults_.push_back({.fault = fault});
}

void MemoryFileSystem::ClearFaults() {
  absl::MutexLock lock(&mutex_);
  faults_.clear();
}

uint64_t MemoryFileSystem::call_count() const {
  absl::MutexLock lock(&mutex_);
  uint64_t sum = 0;
  for (const uint64_t count : call_counts_) sum += count;
  return sum;
}

uint64_t MemoryFileSystem::call_count(Operation operation) const {
  absl::MutexLock lock(&mutex_);
  return call_counts_[static_cast<size_t>(operation)];
}

void MemoryFileSystem::set_capacity_bytes(uint64_t bytes) {
  absl::MutexLock lock(&mutex_);
  capacity_bytes_ = bytes;
}

void MemoryFileSystem::RefuseLinks() {
  absl::MutexLock lock(&mutex_);
  refuses_links_ = true;
}

uint64_t MemoryFileSystem::used_bytes() const {
  absl::MutexLock lock(&mutex_);
  return UsedBytes();
}

void MemoryFileSystem::FlipBit(absl::string_view path, uint64_t offset, int bit) {
  absl::MutexLock lock(&mutex_);
  const std::shared_ptr<Inode> inode = FindInode(path);
  SLIP_CHECK(inode != nullptr);
  SLIP_CHECK(offset < inode->bytes);
  const uint64_t index = offset / kSectorBytes;
  const char flip = static_cast<char>(1 << bit);
  inode->durable[index][offset % kSectorBytes] ^= flip;
  if (const auto found = inode->unsynced.find(index); found != inode->unsynced.end()) {
    found->second.bytes[offset % kSectorBytes] ^= flip;
  }
}

std::string MemoryFileSystem::Contents(absl::string_view path) const {
  absl::MutexLock lock(&mutex_);
  const std::shared_ptr<Inode> inode = FindInode(path);
  SLIP_CHECK(inode != nullptr);
  std::string bytes;
  for (uint64_t index = 0; bytes.size() < inode->bytes; ++index) {
    const Sector sector = ReadSector(*inode, index);
    bytes.append(sector.data(), std::min<uint64_t>(kSectorBytes, inode->bytes - bytes.size()));
  }
  return bytes;
}

void MemoryFileSystem::Install(absl::string_view path, absl::string_view bytes) {
  absl::MutexLock lock(&mutex_);
  Directory& directory = directories_[std::string(ParentOf(path))];
  auto inode = std::make_shared<Inode>();
  SLIP_CHECK_OK(WriteInode(*inode, 0, bytes));
  for (const auto& [index, unsynced] : inode->unsynced) inode->durable[index] = unsynced.bytes;
  inode->unsynced.clear();
  inode->durable_bytes = inode->bytes;
  directory.names[std::string(NameOf(path))] = inode;
  directory.durable[std::string(NameOf(path))] = std::move(inode);
}

}  // namespace slipstream::storage
