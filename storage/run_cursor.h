// RunCursor: walks the entries of one run in key_id order, reading ahead.
#ifndef SLIPSTREAM_STORAGE_RUN_CURSOR_H_
#define SLIPSTREAM_STORAGE_RUN_CURSOR_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/types/optional.h"
#include "base/key_id.h"
#include "storage/aligned_buffer.h"
#include "storage/run_format.h"
#include "storage/run_reader.h"

namespace slipstream::storage {

// What one read takes at most. A shorter range is read with fewer bytes: its pages only.
inline constexpr size_t kRunCursorBytesPerRead = 64 << 10;

// Starts before the first entry. Not thread-safe.
class RunCursor {
 public:
  // Walks what `run` has of `range`. `run` must outlive the cursor.
  RunCursor(const SortedRun& run, const base::KeyRange& range);

  // Moves to the first entry of the range that is not before `key_id`, forwards or backwards.
  // DATA_LOSS, with path and page, if a page fails its checks; UNAVAILABLE if the device does.
  absl::Status Seek(const base::KeyId& key_id);

  // Moves to the next entry; to the first one at the start. Fails as Seek does, and again until the
  // next Seek.
  absl::Status Next();

  // Whether the cursor stands on an entry: not at the start, at the end or after an error.
  bool valid() const { return valid_; }
  // valid() only.
  const RunEntry& entry() const { return entry_; }

 private:
  void StartAt(const base::KeyId& key_id);
  // Goes from where index_ points to an entry of the range, or to the end.
  absl::Status Settle();
  absl::Status LoadPage();
  absl::Status FillBuffer();

  const SortedRun* const run_;
  const base::KeyRange range_;
  base::KeyId from_;        // Entries before it are passed over.
  uint64_t next_page_ = 0;  // The next to decode.
  uint64_t end_page_ = 0;
  absl::optional<AlignedBuffer> buffer_;
  RunPageRange buffered_;             // The pages in buffer_.
  absl::optional<RunPageView> view_;  // Of the page before next_page_.
  size_t index_ = 0;                  // In view_.
  absl::Status status_;
  RunEntry entry_;
  bool valid_ = false;
};

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_RUN_CURSOR_H_
