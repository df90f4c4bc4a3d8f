#include "storage/run_reader.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/check.h"
#include "base/coding.h"
#include "base/crc32c.h"
#include "base/error_reason.h"
#include "base/status_macros.h"
#include "storage/run_filter.h"

namespace slipstream::storage {
namespace {

constexpr size_t kSectionBytesPerRead = 1 << 20;

// Returns `status` with `where` before its message.
absl::Status At(absl::string_view where, const absl::Status& status) {
  const std::string reason = base::ReasonOf(status);
  absl::Status placed(status.code(), absl::StrCat(where, ": ", status.message()));
  return reason.empty() ? placed : base::WithReason(std::move(placed), reason);
}

}  // namespace

absl::StatusOr<std::unique_ptr<SortedRun>> SortedRun::Open(FileSystem* fs,
                                                           absl::string_view directory,
                                                           const RunIdentity& identity) {
  std::string path = JoinPath(directory, RunFileName(identity.run_number));
  SLIP_ASSIGN_OR_RETURN(std::unique_ptr<File> file, fs->OpenDirect(path, OpenMode::kRead));
  std::unique_ptr<SortedRun> run(new SortedRun(std::move(path), std::move(file)));
  SLIP_RETURN_IF_ERROR(run->ReadHeader(identity));
  const RunLayout layout = RunLayoutOf(run->header_.entry_count);
  if (layout.page_count == 0) return run;
  absl::StatusOr<AlignedBuffer> fences =
      run->ReadSection(layout.fences_offset, layout.fences_bytes, run->header_.fences_crc32c);
  if (!fences.ok()) return At(absl::StrCat(run->path_, ": fences"), fences.status());
  run->fences_ = *std::move(fences);
  absl::StatusOr<AlignedBuffer> filter =
      run->ReadSection(layout.filter_offset, layout.filter_bytes, run->header_.filter_crc32c);
  if (!filter.ok()) return At(absl::StrCat(run->path_, ": filter"), filter.status());
  run->filter_ = *std::move(filter);
  SLIP_RETURN_IF_ERROR(run->CheckFences());
  return run;
}

absl::Status SortedRun::ReadHeader(const RunIdentity& identity) {
  SLIP_ASSIGN_OR_RETURN(const uint64_t size, file_->Size());
  if (size < kPageBytes) {
    return absl::DataLossError(absl::StrFormat("%s: cut short at %d bytes", path_, size));
  }
  AlignedBuffer page(kPageBytes);
  SLIP_RETURN_IF_ERROR(file_->Read(0, kPageBytes, page.data()));
  absl::StatusOr<RunHeader> header = DecodeRunHeader(page.view());
  if (!header.ok()) return At(path_, header.status());
  if (header->node_id != identity.node_id) {
    return base::WithReason(
        absl::FailedPreconditionError(absl::StrFormat("%s: run of node %016x, not of %016x", path_,
                                                      header->node_id, identity.node_id)),
        base::kReasonDirectoryForeign);
  }
  if (header->run_number != identity.run_number) {
    return absl::DataLossError(absl::StrFormat("%s: holds run %d, not %d", path_,
                                               header->run_number, identity.run_number));
  }
  if (header->file_bytes != size) {
    return absl::DataLossError(
        absl::StrFormat("%s: %d bytes, not %d", path_, size, header->file_bytes));
  }
  header_ = *header;
  return absl::OkStatus();
}

absl::StatusOr<AlignedBuffer> SortedRun::ReadSection(uint64_t offset, uint64_t bytes,
                                                     uint32_t crc32c) const {
  AlignedBuffer section(bytes);
  for (uint64_t done = 0; done < bytes; done += kSectionBytesPerRead) {
    const size_t count = std::min<uint64_t>(kSectionBytesPerRead, bytes - done);
    SLIP_RETURN_IF_ERROR(file_->Read(offset + done, count, section.data() + done));
  }
  if (const uint32_t crc = base::Crc32c(section.view()); crc != crc32c) {
    return absl::DataLossError(
        absl::StrFormat("offset %d: crc 0x%08x != 0x%08x", offset, crc, crc32c));
  }
  return section;
}

absl::Status SortedRun::CheckFences() const {
  bool sorted = header_.first_key_id <= header_.last_key_id &&
                fence(0) == RunFenceOf(header_.first_key_id) &&
                fence(header_.page_count - 1) <= RunFenceOf(header_.last_key_id);
  for (uint64_t page = 1; sorted && page < header_.page_count; ++page) {
    sorted = fence(page - 1) <= fence(page);
  }
  if (sorted) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(path_, ": fences are not in order"));
}

RunFence SortedRun::fence(uint64_t page_index) const {
  return base::LoadLittle<RunFence>(fences_->data() + page_index * kRunFenceBytes);
}

uint64_t SortedRun::CountFences(RunFence wanted, Bound bound) const {
  const auto counts = [this, wanted, bound](uint64_t page) {
    return bound == Bound::kBefore ? fence(page) < wanted : fence(page) <= wanted;
  };
  // Key_ids are uniform: interpolation lands near the place, doubling steps find it from there, and
  // where they are not uniform the steps are still no more than the logarithm.
  const RunFence least = fence(0);
  const RunFence greatest = RunFenceOf(header_.last_key_id);
  uint64_t low = 0;                    // Pages below count.
  uint64_t high = header_.page_count;  // Pages from here on do not.
  uint64_t guess = 0;
  if (wanted > least && greatest > least) {
    const auto scaled = static_cast<unsigned __int128>(wanted - least) * high;
    guess = std::min<uint64_t>(static_cast<uint64_t>(scaled / (greatest - least)), high - 1);
  }
  if (counts(guess)) {
    low = guess + 1;
    for (uint64_t step = 1; low < high; step *= 2) {
      const uint64_t probe = std::min(guess + step, high - 1);
      if (!counts(probe)) {
        high = probe;
        break;
      }
      low = probe + 1;
    }
  } else {
    high = guess;
    for (uint64_t step = 1; low < high; step *= 2) {
      const uint64_t probe = guess > step ? guess - step : 0;
      if (counts(probe)) {
        low = probe + 1;
        break;
      }
      high = probe;
    }
  }
  while (low < high) {
    const uint64_t middle = low + (high - low) / 2;
    if (counts(middle)) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

RunPageRange SortedRun::PagesOf(const base::KeyRange& range) const {
  if (header_.page_count == 0 || range.last < header_.first_key_id ||
      header_.last_key_id < range.first) {
    return {};
  }
  // Of the pages whose fence is before the first key_id, the last one may reach up to it.
  const uint64_t before = CountFences(RunFenceOf(range.first), Bound::kBefore);
  return {.first = before == 0 ? 0 : before - 1,
          .end = CountFences(RunFenceOf(range.last), Bound::kNotAfter)};
}

RunPageRange SortedRun::PagesOfKey(const base::KeyId& key_id) const {
  if (header_.page_count == 0 || key_id < header_.first_key_id || header_.last_key_id < key_id) {
    return {};
  }
  const RunFence wanted = RunFenceOf(key_id);
  const uint64_t end = CountFences(wanted, Bound::kNotAfter);
  if (fence(end - 1) != wanted) return {.first = end - 1, .end = end};
  // A tie: the pages with this fence, and the one before them, whose last keys may share it.
  const uint64_t before = CountFences(wanted, Bound::kBefore);
  return {.first = before == 0 ? 0 : before - 1, .end = end};
}

bool SortedRun::PageMayContain(uint64_t page_index, const base::KeyId& key_id) const {
  return FilterBlockMayContain(filter_->data() + page_index * kFilterBlockBytes, key_id);
}

bool SortedRun::MayContain(const base::KeyId& key_id) const {
  const RunPageRange pages = PagesOfKey(key_id);
  for (uint64_t page = pages.first; page < pages.end; ++page) {
    if (PageMayContain(page, key_id)) return true;
  }
  return false;
}

absl::StatusOr<absl::optional<RunEntry>> SortedRun::Find(const base::KeyId& key_id) const {
  RunPageBuffer buffer(/*page_count=*/1, RunPageBuffer::Missing::kOne);
  return Find(key_id, buffer);
}

absl::StatusOr<absl::optional<RunEntry>> SortedRun::Find(const base::KeyId& key_id,
                                                         RunPageBuffer& buffer) const {
  const RunPageRange pages = PagesOfKey(key_id);
  for (uint64_t page = pages.end; page-- > pages.first;) {
    if (!PageMayContain(page, key_id)) continue;
    SLIP_ASSIGN_OR_RETURN(const absl::string_view bytes, Buffered(page, buffer));
    SLIP_ASSIGN_OR_RETURN(const RunPageView view, DecodePage(bytes, page));
    const size_t index = view.LowerBound(key_id);
    if (index < view.entry_count() && view.key_id(index) == key_id) return view.entry(index);
    // A key_id within the page, and not there, is not on an earlier one.
    if (index > 0) break;
  }
  return absl::nullopt;
}

absl::StatusOr<absl::string_view> SortedRun::Buffered(uint64_t page_index,
                                                      RunPageBuffer& buffer) const {
  auto found = std::lower_bound(buffer.pages_.begin(), buffer.pages_.end(), page_index);
  if (found == buffer.pages_.end() || *found != page_index) {
    const uint64_t wanted_count =
        buffer.missing_ == RunPageBuffer::Missing::kAll ? buffer.page_count_ : 1;
    const RunPageRange pages{.first = page_index,
                             .end = std::min(page_index + wanted_count, header_.page_count)};
    buffer.pages_.clear();
    if (!buffer.bytes_) buffer.bytes_.emplace(buffer.page_count_ * kPageBytes);
    SLIP_RETURN_IF_ERROR(ReadPages(pages, buffer.bytes_->data()));
    for (uint64_t page = pages.first; page < pages.end; ++page) buffer.pages_.push_back(page);
    buffer.read_bytes_ += buffer.pages_.size() * kPageBytes;
    found = buffer.pages_.begin();
  }
  const auto place = static_cast<size_t>(found - buffer.pages_.begin());
  return buffer.bytes_->view().substr(place * kPageBytes, kPageBytes);
}

absl::Status SortedRun::ReadAhead(FileSystem* fs, absl::Span<const base::KeyId> key_ids,
                                  RunPageBuffer& buffer) const {
  std::vector<uint64_t>& pages = buffer.pages_;
  pages.clear();
  for (const base::KeyId& key_id : key_ids) {
    const RunPageRange candidates = PagesOfKey(key_id);
    for (uint64_t page = candidates.first; page < candidates.end; ++page) {
      const bool is_new = pages.empty() || pages.back() < page;
      if (pages.size() == buffer.page_count_) break;
      if (is_new && PageMayContain(page, key_id)) pages.push_back(page);
    }
  }
  if (!buffer.bytes_) buffer.bytes_.emplace(buffer.page_count_ * kPageBytes);
  std::vector<FileRead> reads;
  for (const uint64_t page : pages) {
    reads.push_back({.file = file_.get(),
                     .offset = (1 + page) * kPageBytes,
                     .count = kPageBytes,
                     .destination = buffer.bytes_->data() + reads.size() * kPageBytes,
                     .status = {}});
  }
  fs->ReadMany(absl::MakeSpan(reads));
  for (const FileRead& read : reads) {
    if (read.status.ok()) continue;
    pages.clear();
    return read.status;
  }
  buffer.read_bytes_ += pages.size() * kPageBytes;
  return absl::OkStatus();
}

absl::Status SortedRun::ReadPages(const RunPageRange& pages, char* destination) const {
  SLIP_CHECK(pages.first < pages.end);
  SLIP_CHECK(pages.end <= header_.page_count);
  return file_->Read((1 + pages.first) * kPageBytes, (pages.end - pages.first) * kPageBytes,
                     destination);
}

absl::StatusOr<RunPageView> SortedRun::DecodePage(absl::string_view bytes,
                                                  uint64_t page_index) const {
  SLIP_CHECK(page_index < header_.page_count);
  const uint64_t first_entry = page_index * kRunEntriesPerPage;
  const RunPageHeader expected{.entry_count = static_cast<uint16_t>(std::min<uint64_t>(
                                   kRunEntriesPerPage, header_.entry_count - first_entry)),
                               .page_number = static_cast<uint32_t>(1 + page_index),
                               .run_number_low = static_cast<uint32_t>(header_.run_number)};
  absl::StatusOr<RunPageView> view = DecodeRunPage(bytes, expected);
  if (!view.ok()) {
    return At(absl::StrFormat("%s: page %d", path_, expected.page_number), view.status());
  }
  if (RunFenceOf(view->key_id(0)) != fence(page_index)) {
    return absl::DataLossError(absl::StrFormat("%s: page %d: starts with %016x, its fence is %016x",
                                               path_, expected.page_number,
                                               RunFenceOf(view->key_id(0)), fence(page_index)));
  }
  return view;
}

uint64_t SortedRun::memory_bytes() const {
  return sizeof(*this) + path_.capacity() + (fences_ ? fences_->capacity() : 0) +
         (filter_ ? filter_->capacity() : 0);
}

}  // namespace slipstream::storage
