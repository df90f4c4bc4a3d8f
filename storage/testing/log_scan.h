// Reads the log of a small store as a start without a checkpoint would, beside its engine.
#ifndef SLIPSTREAM_STORAGE_TESTING_LOG_SCAN_H_
#define SLIPSTREAM_STORAGE_TESTING_LOG_SCAN_H_

#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"
#include "storage/keydir_shard.h"
#include "storage/log_recovery.h"
#include "storage/memory_file_system.h"
#include "storage/record.h"

namespace slipstream::storage::testing {

// Returns the numbers of the segments in kDirectory, ascending.
std::vector<uint64_t> SegmentNumbers(MemoryFileSystem& fs);

// Reads all records that apply in the log of a copy of `fs`; what is not flushed is not there.
LogRecovery ScanLog(
    const MemoryFileSystem& fs,
    absl::FunctionRef<void(const RecordView& record, const Location& location)> on_record);

}  // namespace slipstream::storage::testing

#endif  // SLIPSTREAM_STORAGE_TESTING_LOG_SCAN_H_
