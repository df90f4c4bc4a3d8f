// PendingRecord: a record on its way to the log.
#ifndef SLIPSTREAM_STORAGE_PENDING_RECORD_H_
#define SLIPSTREAM_STORAGE_PENDING_RECORD_H_

#include <cstddef>

#include "absl/strings/string_view.h"
#include "storage/keydir_shard.h"
#include "storage/record.h"

namespace slipstream::storage {

// A record to append: its header with the checksum, and views of the rest, valid during the call.
struct PendingRecord {
  RecordHeader header;
  absl::string_view key;
  absl::string_view value;
  Location location;  // Set by the log when it is appended.

  size_t bytes() const { return kRecordHeaderBytes + key.size() + value.size(); }
};

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_PENDING_RECORD_H_
