// SpanningRun: the transaction larger than a frame that a scan of the log is in the middle of.
//
// Its records wait here until it is known whether they apply. They stand next to each other in the
// log, and a start cuts off what has no end, so that one that anything follows was committed, even
// where its Commit is damaged or gone. docs/storage_format.md, "Transactions".
#ifndef SLIPSTREAM_STORAGE_SPANNING_RUN_H_
#define SLIPSTREAM_STORAGE_SPANNING_RUN_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/types/optional.h"
#include "storage/entry.h"
#include "storage/frame.h"
#include "storage/keydir_shard.h"
#include "storage/record.h"

namespace slipstream::storage {

// Where a frame starts, and what the log ends with if it ends there.
struct FramePlace {
  uint64_t segment_number = 0;
  uint64_t offset = 0;
  uint64_t previous_frame_number = 0;   // 0: it is the segment's first one.
  uint32_t previous_header_crc32c = 0;  // Of that frame's header, else of the segment's.
  Lsn first_lsn = 0;
};

// Not thread-safe. Holds copies of the records of one transaction.
class SpanningRun {
 public:
  using OnRecord = absl::FunctionRef<void(const RecordView& record, const Location& location)>;

  // Takes up a frame at `place` that `records` of transaction `tx_id` fill.
  void Hold(uint64_t tx_id, const FramePlace& place, const std::vector<PlacedRecord>& records,
            OnRecord on_record);
  // Says that something follows that is durable, but is not read: it is damaged, gone, or known.
  void NoteUnread() { before_unread_ = true; }
  // Ends the transaction, if there is one, and calls `on_record` for what it holds, in log order.
  void Commit(OnRecord on_record);
  // Forgets the transaction, if there is one.
  void Drop();
  // Where the transaction starts, if there is one.
  absl::optional<FramePlace> start() const;
  // At the log's end: returns where the transaction that it ends within starts; nullopt if it ends
  // otherwise.
  absl::optional<FramePlace> UnfinishedFrom() const;

  uint64_t record_count() const { return held_.size(); }

 private:
  struct Held {
    RecordHeader header;
    std::string key;
    std::string value;
    Location location;
  };

  uint64_t tx_id_ = 0;  // 0: there is none.
  FramePlace first_;
  bool before_unread_ = false;
  std::vector<Held> held_;
};

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_SPANNING_RUN_H_
