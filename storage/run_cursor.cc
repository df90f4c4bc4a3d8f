#include "storage/run_cursor.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"

namespace slipstream::storage {
namespace {

constexpr uint64_t kPagesPerRead = kRunCursorBytesPerRead / kPageBytes;

}  // namespace

RunCursor::RunCursor(const SortedRun& run, const base::KeyRange& range)
    : run_(&run), range_(range) {
  StartAt(range.first);
}

void RunCursor::StartAt(const base::KeyId& key_id) {
  from_ = std::max(key_id, range_.first);
  RunPageRange pages;
  if (from_ <= range_.last) pages = run_->PagesOf({.first = from_, .last = range_.last});
  next_page_ = pages.first;
  end_page_ = pages.end;
  buffered_ = {};
  view_.reset();
  index_ = 0;
  status_ = absl::OkStatus();
  valid_ = false;
}

absl::Status RunCursor::Seek(const base::KeyId& key_id) {
  StartAt(key_id);
  return Next();
}

absl::Status RunCursor::Next() {
  if (!status_.ok()) return status_;
  if (valid_) ++index_;
  status_ = Settle();
  if (!status_.ok()) valid_ = false;
  return status_;
}

absl::Status RunCursor::Settle() {
  while (!view_ || index_ == view_->entry_count()) {
    if (next_page_ == end_page_) {
      valid_ = false;
      return absl::OkStatus();
    }
    SLIP_RETURN_IF_ERROR(LoadPage());
    index_ = view_->LowerBound(from_);
  }
  entry_ = view_->entry(index_);
  valid_ = entry_.key_id() <= range_.last;
  // At the end the cursor stays where it is: on an entry that is not of the range.
  return absl::OkStatus();
}

absl::Status RunCursor::LoadPage() {
  // Taken now: filling the buffer takes the page before from under its view.
  absl::optional<base::KeyId> previous;
  if (view_) previous = view_->key_id(view_->entry_count() - 1);
  view_.reset();
  if (next_page_ < buffered_.first || next_page_ >= buffered_.end) {
    SLIP_RETURN_IF_ERROR(FillBuffer());
  }
  const absl::string_view bytes =
      buffer_->view().substr((next_page_ - buffered_.first) * kPageBytes, kPageBytes);
  SLIP_ASSIGN_OR_RETURN(const RunPageView view, run_->DecodePage(bytes, next_page_));
  if (previous && view.key_id(0) <= *previous) {
    return absl::DataLossError(absl::StrFormat("%s: page %d: does not follow the page before it",
                                               run_->path(), 1 + next_page_));
  }
  view_ = view;
  ++next_page_;
  return absl::OkStatus();
}

absl::Status RunCursor::FillBuffer() {
  const uint64_t count = std::min(kPagesPerRead, end_page_ - next_page_);
  if (!buffer_ || buffer_->capacity() < count * kPageBytes) buffer_.emplace(count * kPageBytes);
  buffered_ = {};
  const RunPageRange pages{.first = next_page_, .end = next_page_ + count};
  SLIP_RETURN_IF_ERROR(run_->ReadPages(pages, buffer_->data()));
  buffered_ = pages;
  return absl::OkStatus();
}

}  // namespace slipstream::storage
