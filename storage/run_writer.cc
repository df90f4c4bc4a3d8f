#include "storage/run_writer.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/check.h"
#include "base/coding.h"
#include "base/crc32c.h"
#include "base/status_macros.h"
#include "storage/run_filter.h"
#include "storage/segment.h"

namespace slipstream::storage {
namespace {

constexpr size_t kPagesPerWrite = kRunBytesPerWrite / kPageBytes;

static_assert(kRunBytesPerWrite % kPageBytes == 0);
static_assert(kRunBytesPerWrite % kFilterBlockBytes == 0, "a block does not cross chunks");
static_assert(kRunBytesPerWrite % kRunFenceBytes == 0, "nor does a fence");

}  // namespace

char* RunWriter::Section::Append(size_t piece_bytes) {
  const size_t place = bytes % kRunBytesPerWrite;
  if (place == 0) {
    chunks.emplace_back(kRunBytesPerWrite);
    std::memset(chunks.back().data(), 0, kRunBytesPerWrite);
  }
  bytes += piece_bytes;
  return chunks.back().data() + place;
}

RunWriter::RunWriter(FileSystem* fs, absl::string_view directory, const RunWriterOptions& options)
    : fs_(fs),
      directory_(directory),
      path_(JoinPath(directory, RunFileName(options.run_number))),
      temporary_path_(TemporaryName(path_)),
      options_(options) {}

absl::StatusOr<std::unique_ptr<RunWriter>> RunWriter::Create(FileSystem* fs,
                                                             absl::string_view directory,
                                                             const RunWriterOptions& options) {
  SLIP_CHECK(options.run_number != 0);
  SLIP_CHECK(options.entry_count_max <= kRunEntriesMax);
  std::unique_ptr<RunWriter> writer(new RunWriter(fs, directory, options));
  const absl::Status removed = fs->Remove(writer->temporary_path_);
  if (!removed.ok() && !absl::IsNotFound(removed)) return removed;
  SLIP_ASSIGN_OR_RETURN(writer->file_, fs->OpenDirect(writer->temporary_path_, OpenMode::kCreate));
  return writer;
}

template <typename Step>
absl::Status RunWriter::Try(Step step) {
  if (!status_.ok()) return status_;
  status_ = step();
  if (!status_.ok() && file_ != nullptr) {
    // The first error is the one to report; the next start removes what is left here.
    file_.reset();
    fs_->Remove(temporary_path_).IgnoreError();
  }
  return status_;
}

absl::Status RunWriter::Add(const RunEntry& entry) {
  SLIP_CHECK(stage_ == Stage::kAdding);
  if (!status_.ok()) return status_;
  const base::KeyId& key_id = entry.key_id();
  if (entry_count_ > 0 && key_id <= last_key_id_) {
    return absl::InvalidArgumentError(
        absl::StrCat(path_, ": key_id ", absl::BytesToHexString(key_id.view()), " is not after ",
                     absl::BytesToHexString(last_key_id_.view())));
  }
  if (entry_count_ == options_.entry_count_max) {
    return absl::ResourceExhaustedError(
        absl::StrFormat("%s: a run of at most %d entries", path_, options_.entry_count_max));
  }
  if (page_entry_count_ == 0) {
    if (buffered_page_count_ == kPagesPerWrite) {
      SLIP_RETURN_IF_ERROR(Try([this] { return FlushPages(); }));
    }
    StartPage(key_id);
  }
  char* const page = pages_.data() + (buffered_page_count_ - 1) * kPageBytes;
  PackRunEntry(entry, page_entry_count_, page);
  AddToFilterBlock(key_id, filter_block_);
  ++page_entry_count_;
  if (entry_count_ == 0) first_key_id_ = key_id;
  last_key_id_ = key_id;
  ++entry_count_;
  if (entry.located.damaged) {
    ++damaged_count_;
  } else if (entry.located.entry.tombstone) {
    ++tombstone_count_;
  }
  if (page_entry_count_ == kRunEntriesPerPage) SealPage();
  return absl::OkStatus();
}

void RunWriter::StartPage(const base::KeyId& first_key_id) {
  std::memset(pages_.data() + buffered_page_count_ * kPageBytes, 0, kPageBytes);
  ++buffered_page_count_;
  base::StoreLittle<RunFence>(RunFenceOf(first_key_id), fences_.Append(kRunFenceBytes));
  filter_block_ = filter_.Append(kFilterBlockBytes);
}

void RunWriter::SealPage() {
  const RunPageHeader header{
      .entry_count = static_cast<uint16_t>(page_entry_count_),
      .page_number = static_cast<uint32_t>(flushed_page_count_ + buffered_page_count_),
      .run_number_low = static_cast<uint32_t>(options_.run_number)};
  SealRunPage(header, pages_.data() + (buffered_page_count_ - 1) * kPageBytes);
  page_entry_count_ = 0;
}

absl::Status RunWriter::FlushPages() {
  SLIP_CHECK(page_entry_count_ == 0);
  if (buffered_page_count_ == 0) return absl::OkStatus();
  SLIP_RETURN_IF_ERROR(WriteAndSync((1 + flushed_page_count_) * kPageBytes,
                                    pages_.view().substr(0, buffered_page_count_ * kPageBytes)));
  flushed_page_count_ += buffered_page_count_;
  buffered_page_count_ = 0;
  return absl::OkStatus();
}

absl::Status RunWriter::WriteAndSync(uint64_t offset, absl::string_view bytes) {
  SLIP_RETURN_IF_ERROR(file_->Write(offset, bytes));
  unsynced_bytes_ += bytes.size();
  if (unsynced_bytes_ < kRunBytesPerSync) return absl::OkStatus();
  unsynced_bytes_ = 0;
  return file_->SyncData();
}

absl::Status RunWriter::WriteChunk(Section& section, uint64_t offset) {
  const uint64_t start = section.written_chunk_count * kRunBytesPerWrite;
  const uint64_t count = std::min<uint64_t>(kRunBytesPerWrite, section.bytes - start);
  const uint64_t whole_pages = (count + kPageBytes - 1) / kPageBytes * kPageBytes;
  const absl::string_view bytes =
      section.chunks[section.written_chunk_count].view().substr(0, whole_pages);
  SLIP_RETURN_IF_ERROR(WriteAndSync(offset + start, bytes));
  section.crc32c = base::ExtendCrc32c(section.crc32c, bytes);
  ++section.written_chunk_count;
  return absl::OkStatus();
}

absl::Status RunWriter::WriteHeader() {
  const RunLayout layout = RunLayoutOf(entry_count_);
  const RunHeader header{.node_id = options_.node_id,
                         .run_number = options_.run_number,
                         .entry_count = entry_count_,
                         .page_count = layout.page_count,
                         .fences_offset = layout.fences_offset,
                         .filter_offset = layout.filter_offset,
                         .file_bytes = layout.file_bytes,
                         .fences_crc32c = fences_.crc32c,
                         .filter_crc32c = filter_.crc32c,
                         .first_key_id = first_key_id_,
                         .last_key_id = last_key_id_,
                         .tombstone_count = tombstone_count_,
                         .damaged_count = damaged_count_};
  const std::string encoded = EncodeRunHeader(header);
  encoded.copy(pages_.data(), kPageBytes);
  return file_->Write(0, pages_.view().substr(0, kPageBytes));
}

absl::Status RunWriter::Publish() {
  SLIP_RETURN_IF_ERROR(WriteHeader());
  SLIP_RETURN_IF_ERROR(file_->SyncData());
  SLIP_RETURN_IF_ERROR(fs_->Rename(temporary_path_, path_));
  // From here on there is no tmp file to remove.
  file_.reset();
  return fs_->SyncDirectory(directory_);
}

absl::StatusOr<bool> RunWriter::FinishSome(size_t bytes) {
  SLIP_CHECK(stage_ != Stage::kFinished);
  if (stage_ == Stage::kAdding && page_entry_count_ > 0) SealPage();
  stage_ = Stage::kFinishing;
  const RunLayout layout = RunLayoutOf(entry_count_);
  SLIP_RETURN_IF_ERROR(Try([this] { return FlushPages(); }));
  uint64_t written_bytes = 0;
  for (Section* const section : {&fences_, &filter_}) {
    const uint64_t offset = section == &fences_ ? layout.fences_offset : layout.filter_offset;
    while (section->written_chunk_count < section->chunks.size()) {
      if (written_bytes > 0 && written_bytes >= bytes) return true;
      SLIP_RETURN_IF_ERROR(Try([&] { return WriteChunk(*section, offset); }));
      written_bytes += kRunBytesPerWrite;
    }
  }
  SLIP_RETURN_IF_ERROR(Try([this] { return Publish(); }));
  stage_ = Stage::kFinished;
  // Who opens the run now has all of this in memory once more.
  fences_.chunks = std::vector<AlignedBuffer>();
  filter_.chunks = std::vector<AlignedBuffer>();
  return false;
}

absl::StatusOr<RunSummary> RunWriter::Finish() {
  bool more = true;
  while (more) {
    SLIP_ASSIGN_OR_RETURN(more, FinishSome(kRunBytesPerSync));
  }
  return summary();
}

void RunWriter::Abandon() {
  SLIP_CHECK(stage_ != Stage::kFinished);
  Try([this] { return absl::CancelledError(absl::StrCat(path_, ": abandoned")); }).IgnoreError();
}

RunSummary RunWriter::summary() const {
  return {.run_number = options_.run_number,
          .entry_count = entry_count_,
          .tombstone_count = tombstone_count_,
          .damaged_count = damaged_count_,
          .file_bytes = RunLayoutOf(entry_count_).file_bytes};
}

uint64_t RunWriter::memory_bytes() const {
  return sizeof(*this) + pages_.capacity() + fences_.memory_bytes() + filter_.memory_bytes();
}

}  // namespace slipstream::storage
