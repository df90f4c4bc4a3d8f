#include "storage/read_only_file_system.h"

#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"

namespace slipstream::storage {
namespace {

absl::Status ReadOnly(absl::string_view operation, absl::string_view path) {
  return absl::FailedPreconditionError(absl::StrCat(operation, " ", path, ": it is only read"));
}

class ReadOnlyFile : public File {
 public:
  explicit ReadOnlyFile(std::unique_ptr<File> target) : target_(std::move(target)) {}

  absl::Status Read(uint64_t offset, size_t count, char* destination) const override {
    return target_->Read(offset, count, destination);
  }
  absl::Status Write(uint64_t, absl::string_view) override { return ReadOnly("write", "a file"); }
  absl::Status WriteDurably(uint64_t, absl::string_view) override {
    return ReadOnly("write", "a file");
  }
  absl::Status SyncData() override { return absl::OkStatus(); }
  absl::StatusOr<uint64_t> Size() const override { return target_->Size(); }
  absl::StatusOr<uint64_t> LinkCount() const override { return target_->LinkCount(); }
  IoPath io_path() const override { return target_->io_path(); }

 private:
  const std::unique_ptr<File> target_;
};

absl::StatusOr<std::unique_ptr<File>> Wrap(absl::StatusOr<std::unique_ptr<File>> file) {
  if (!file.ok()) return file;
  return std::make_unique<ReadOnlyFile>(*std::move(file));
}

}  // namespace

absl::StatusOr<std::unique_ptr<File>> ReadOnlyFileSystem::Open(absl::string_view path,
                                                               OpenMode mode) {
  if (mode == OpenMode::kCreate) return ReadOnly("create", path);
  return Wrap(target_->Open(path, OpenMode::kRead));
}

absl::StatusOr<std::unique_ptr<File>> ReadOnlyFileSystem::OpenDirect(absl::string_view path,
                                                                     OpenMode mode) {
  if (mode == OpenMode::kCreate) return ReadOnly("create", path);
  return Wrap(target_->OpenDirect(path, OpenMode::kRead));
}

absl::Status ReadOnlyFileSystem::CreateDirectory(absl::string_view path) {
  return ReadOnly("mkdir", path);
}

absl::StatusOr<std::vector<std::string>> ReadOnlyFileSystem::ListDirectory(absl::string_view path) {
  return target_->ListDirectory(path);
}

absl::Status ReadOnlyFileSystem::Rename(absl::string_view from, absl::string_view) {
  return ReadOnly("rename", from);
}

absl::Status ReadOnlyFileSystem::Remove(absl::string_view path) { return ReadOnly("unlink", path); }

absl::Status ReadOnlyFileSystem::Link(absl::string_view from, absl::string_view) {
  return ReadOnly("link", from);
}

absl::Status ReadOnlyFileSystem::RenameDirectory(absl::string_view from, absl::string_view) {
  return ReadOnly("rename", from);
}

absl::Status ReadOnlyFileSystem::RemoveDirectory(absl::string_view path) {
  return ReadOnly("rmdir", path);
}

absl::Status ReadOnlyFileSystem::SyncDirectory(absl::string_view) { return absl::OkStatus(); }

absl::StatusOr<std::unique_ptr<DirectoryLock>> ReadOnlyFileSystem::LockDirectory(
    absl::string_view path) {
  return ReadOnly("lock", path);
}

}  // namespace slipstream::storage
