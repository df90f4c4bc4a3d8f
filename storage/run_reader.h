// SortedRun: one run of the Sorted Log, open for look-ups.
//
// Its fences and filter are in memory, its pages on disk: a key that is there costs one read of one
// page, a key that is not costs none but for the filter's rare false positives. RunSet puts runs
// one above the other; RunCursor walks one. Layout: docs/sorted_log.md.
#ifndef SLIPSTREAM_STORAGE_RUN_READER_H_
#define SLIPSTREAM_STORAGE_RUN_READER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "base/key_id.h"
#include "storage/aligned_buffer.h"
#include "storage/file_system.h"
#include "storage/run_format.h"

namespace slipstream::storage {

// Which run a file must hold.
struct RunIdentity {
  uint64_t node_id = 0;
  uint64_t run_number = 0;
};

// A half-open interval of data pages, counted from 0.
struct RunPageRange {
  uint64_t first = 0;
  uint64_t end = 0;
  friend bool operator==(const RunPageRange&, const RunPageRange&) = default;
};

// Pages of one run that were read last, for look-ups in key_id order: those whose keys are on them
// need no read. Not thread-safe.
class RunPageBuffer {
 public:
  // Has room for `page_count` pages, at least one. A look-up whose page is not there reads so many
  // from that page on, as far as the run has them, or (kOne) that page alone.
  enum class Missing { kAll, kOne };
  RunPageBuffer(size_t page_count, Missing missing) : page_count_(page_count), missing_(missing) {}

  // Of all reads so far.
  uint64_t read_bytes() const { return read_bytes_; }

 private:
  friend class SortedRun;

  const size_t page_count_;
  const Missing missing_;
  std::vector<uint64_t> pages_;  // Ascending; bytes_ has them in this order.
  absl::optional<AlignedBuffer> bytes_;
  uint64_t read_bytes_ = 0;
};

// Immutable. Thread-safe.
class SortedRun {
 public:
  // Opens the file of run `identity.run_number` in `directory` and reads its header, fences and
  // filter. DATA_LOSS, with path and place, if one of them fails its checks or the file has another
  // length than it says; FAILED_PRECONDITION (DIRECTORY_FOREIGN) for another node's run or a newer
  // format; NOT_FOUND if there is none. `fs` is not kept.
  static absl::StatusOr<std::unique_ptr<SortedRun>> Open(FileSystem* fs,
                                                         absl::string_view directory,
                                                         const RunIdentity& identity);

  // Returns false only if the run has no entry of `key_id`. Reads nothing from disk.
  bool MayContain(const base::KeyId& key_id) const;

  // Returns the entry of `key_id`, nullopt if there is none. DATA_LOSS, with path and page, if a
  // page fails its checks; UNAVAILABLE if the device does.
  absl::StatusOr<absl::optional<RunEntry>> Find(const base::KeyId& key_id) const;
  // The same, by way of `buffer`, which is used for this run alone.
  absl::StatusOr<absl::optional<RunEntry>> Find(const base::KeyId& key_id,
                                                RunPageBuffer& buffer) const;

  // Reads the pages to `buffer` that look-ups of `key_ids`, which ascend, would read, all at once
  // and as many as it has room for; of pages whose fences are equal it may leave some out. Checks
  // nothing. UNAVAILABLE if the device fails.
  absl::Status ReadAhead(FileSystem* fs, absl::Span<const base::KeyId> key_ids,
                         RunPageBuffer& buffer) const;

  // Returns the pages that can hold entries of `range`; empty if none can.
  RunPageRange PagesOf(const base::KeyRange& range) const;

  // Reads `pages`, at least one and all of this run, to `destination`, whose address is a multiple
  // of kPageBytes. Checks nothing.
  absl::Status ReadPages(const RunPageRange& pages, char* destination) const;

  // Decodes `bytes`, the kPageBytes read of page `page_index`. DATA_LOSS, with path and page.
  absl::StatusOr<RunPageView> DecodePage(absl::string_view bytes, uint64_t page_index) const;

  uint64_t number() const { return header_.run_number; }
  uint64_t entry_count() const { return header_.entry_count; }
  // Not damaged.
  uint64_t tombstone_count() const { return header_.tombstone_count; }
  uint64_t damaged_count() const { return header_.damaged_count; }
  uint64_t page_count() const { return header_.page_count; }
  uint64_t file_bytes() const { return header_.file_bytes; }
  const std::string& path() const { return path_; }
  // Memory, fences and filter included.
  uint64_t memory_bytes() const;

 private:
  SortedRun(std::string path, std::unique_ptr<File> file)
      : path_(std::move(path)), file_(std::move(file)) {}

  absl::Status ReadHeader(const RunIdentity& identity);
  // Reads fences or filter, `bytes` of whole pages, with their checksum.
  absl::StatusOr<AlignedBuffer> ReadSection(uint64_t offset, uint64_t bytes, uint32_t crc32c) const;
  absl::Status CheckFences() const;
  RunFence fence(uint64_t page_index) const;
  // Returns the number of pages whose fence is before `wanted`, or (kNotAfter) not after it.
  enum class Bound { kBefore, kNotAfter };
  uint64_t CountFences(RunFence wanted, Bound bound) const;
  // Returns the pages that can hold `key_id`: one, unless 8 bytes of it are those of a fence.
  RunPageRange PagesOfKey(const base::KeyId& key_id) const;
  bool PageMayContain(uint64_t page_index, const base::KeyId& key_id) const;
  // Returns the bytes of a page that is in `buffer`, or is read there.
  absl::StatusOr<absl::string_view> Buffered(uint64_t page_index, RunPageBuffer& buffer) const;

  const std::string path_;
  const std::unique_ptr<File> file_;
  RunHeader header_;
  absl::optional<AlignedBuffer> fences_;  // Absent, as is the filter, without data pages.
  absl::optional<AlignedBuffer> filter_;
};

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_RUN_READER_H_
