#include "storage/spanning_run.h"

namespace slipstream::storage {

void SpanningRun::Hold(uint64_t tx_id, const FramePlace& place,
                       const std::vector<PlacedRecord>& records, OnRecord on_record) {
  if (tx_id != tx_id_) {
    Commit(on_record);
    tx_id_ = tx_id;
    first_ = place;
  }
  before_unread_ = false;
  for (const PlacedRecord& placed : records) {
    const uint64_t offset = place.offset + kFrameHeaderBytes + placed.payload_offset;
    held_.push_back({.header = placed.record.header,
                     .key = std::string(placed.record.key),
                     .value = std::string(placed.record.value),
                     .location = {.segment_number = static_cast<uint32_t>(place.segment_number),
                                  .offset = static_cast<uint32_t>(offset)}});
  }
}

void SpanningRun::Commit(OnRecord on_record) {
  for (const Held& held : held_) {
    on_record({.header = held.header, .key = held.key, .value = held.value}, held.location);
  }
  Drop();
}

void SpanningRun::Drop() {
  held_.clear();
  held_.shrink_to_fit();
  tx_id_ = 0;
  before_unread_ = false;
}

absl::optional<FramePlace> SpanningRun::start() const {
  return tx_id_ == 0 ? absl::nullopt : absl::make_optional(first_);
}

absl::optional<FramePlace> SpanningRun::UnfinishedFrom() const {
  // What was not read was written after the transaction or is a part of it; if no more of it
  // follows, the Commit was there.
  if (tx_id_ == 0 || before_unread_) return absl::nullopt;
  return first_;
}

}  // namespace slipstream::storage
