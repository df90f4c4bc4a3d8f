#include "storage/testing/log_scan.h"

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/check.h"
#include "storage/file_system.h"
#include "storage/manifest.h"
#include "storage/segment.h"
#include "storage/testing/small_store.h"

namespace slipstream::storage::testing {

std::vector<uint64_t> SegmentNumbers(MemoryFileSystem& fs) {
  std::vector<uint64_t> numbers;
  const absl::StatusOr<std::vector<std::string>> names = fs.ListDirectory(kDirectory);
  SLIP_CHECK(names.ok());
  for (const std::string& name : *names) {
    if (const auto number = ParseSegmentFileName(name)) numbers.push_back(*number);
  }
  return numbers;
}

LogRecovery ScanLog(
    const MemoryFileSystem& fs,
    absl::FunctionRef<void(const RecordView& record, const Location& location)> on_record) {
  const std::unique_ptr<MemoryFileSystem> copy = fs.Clone();
  const absl::StatusOr<Manifest> manifest = ReadManifest(copy.get(), kDirectory);
  LogRecoveryOptions options{.segment_bytes = SmallOptions().segment_bytes};
  if (manifest.ok()) options.gaps = manifest->gaps;
  absl::StatusOr<LogRecovery> recovery =
      RecoverLog(copy.get(), kDirectory, SegmentNumbers(*copy), options,
                 [&](const RecoveredRecord& recovered) {
                   if (recovered.fate != RecordFate::kStreamed) {
                     on_record(recovered.record, recovered.location);
                   }
                   return absl::OkStatus();
                 });
  SLIP_CHECK(recovery.ok());
  return *std::move(recovery);
}

}  // namespace slipstream::storage::testing
