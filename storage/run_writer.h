// RunWriter: makes one run of the Sorted Log out of entries that come in key_id order.
//
// Data pages go to the disk as they fill; fences and filter, 72 bytes for each page of 46 entries,
// stay in memory until Finish. The run appears under its name whole or not at all. What is written,
// and when: docs/sorted_log.md.
#ifndef SLIPSTREAM_STORAGE_RUN_WRITER_H_
#define SLIPSTREAM_STORAGE_RUN_WRITER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/key_id.h"
#include "storage/aligned_buffer.h"
#include "storage/file_system.h"
#include "storage/run_format.h"

namespace slipstream::storage {

struct RunWriterOptions {
  uint64_t node_id = 0;
  uint64_t run_number = 0;                    // From 1; never given twice in a directory.
  uint64_t entry_count_max = kRunEntriesMax;  // At most kRunEntriesMax.
};

// What a finished run holds.
struct RunSummary {
  uint64_t run_number = 0;
  uint64_t entry_count = 0;
  uint64_t tombstone_count = 0;  // Not damaged.
  uint64_t damaged_count = 0;
  uint64_t file_bytes = 0;
  friend bool operator==(const RunSummary&, const RunSummary&) = default;
};

// Bytes of data pages, of fences or of the filter that one write takes at most.
inline constexpr size_t kRunBytesPerWrite = 128 << 10;
// Memory that a writer takes from its first entry on: data pages, fences and filter.
inline constexpr size_t kRunWriterBytesMin = 3 * kRunBytesPerWrite;
// A sync follows this many written bytes, so that none of them takes long.
inline constexpr size_t kRunBytesPerSync = 8 << 20;

// After an error every later call returns it again, and the unfinished file is removed if that is
// possible; the caller must stop trusting the disk after a failed sync. Not thread-safe.
class RunWriter {
 public:
  // Creates `<run>.run.tmp` in `directory`, in place of one that a crash left. `fs` must outlive
  // the writer. A writer that is destroyed unfinished leaves the tmp file there.
  static absl::StatusOr<std::unique_ptr<RunWriter>> Create(FileSystem* fs,
                                                           absl::string_view directory,
                                                           const RunWriterOptions& options);

  // Takes one more entry. INVALID_ARGUMENT, which is not lasting, if its key_id is not after the
  // one before; RESOURCE_EXHAUSTED, not lasting either, beyond entry_count_max.
  absl::Status Add(const RunEntry& entry);

  // Takes a step towards the finished run that writes about `bytes` bytes, at least one write;
  // returns whether there is more to do. No Add may follow the first one. When it returns false,
  // the run is durable under its name. After a failed last step, which syncs the directory, the
  // whole run may stand there: its number is used up.
  absl::StatusOr<bool> FinishSome(size_t bytes);

  // Takes all the steps that are left.
  absl::StatusOr<RunSummary> Finish();

  // Removes the unfinished file, if it can: the caller wants its space back now, not at the next
  // start. Every later call fails. Not after the last step.
  void Abandon();

  // Of what was added so far; file_bytes is what the file will have.
  RunSummary summary() const;
  // Memory, fences and filter included.
  uint64_t memory_bytes() const;

 private:
  // Fences or filter on their way to the disk: equal pieces, appended to chunks of
  // kRunBytesPerWrite.
  struct Section {
    // Returns the place of the next piece, full of zeros.
    char* Append(size_t piece_bytes);
    uint64_t memory_bytes() const { return chunks.size() * kRunBytesPerWrite; }

    std::vector<AlignedBuffer> chunks;
    uint64_t bytes = 0;
    size_t written_chunk_count = 0;
    uint32_t crc32c = 0;  // Of the written chunks.
  };
  enum class Stage { kAdding, kFinishing, kFinished };

  RunWriter(FileSystem* fs, absl::string_view directory, const RunWriterOptions& options);

  // Runs `step` unless an earlier one failed, and keeps its error.
  template <typename Step>
  absl::Status Try(Step step);
  void StartPage(const base::KeyId& first_key_id);
  void SealPage();
  absl::Status FlushPages();
  absl::Status WriteAndSync(uint64_t offset, absl::string_view bytes);
  // Writes the next chunk of `section`, which starts at `offset` of the file.
  absl::Status WriteChunk(Section& section, uint64_t offset);
  absl::Status WriteHeader();
  absl::Status Publish();

  FileSystem* const fs_;
  const std::string directory_;
  const std::string path_;
  const std::string temporary_path_;
  const RunWriterOptions options_;
  std::unique_ptr<File> file_;
  absl::Status status_;
  Stage stage_ = Stage::kAdding;
  AlignedBuffer pages_{kRunBytesPerWrite};  // Data pages that are not yet written.
  size_t buffered_page_count_ = 0;          // The one that is being filled included.
  uint64_t flushed_page_count_ = 0;
  size_t page_entry_count_ = 0;   // Of the page that is being filled; 0: there is none.
  char* filter_block_ = nullptr;  // Of that page, in filter_.
  Section fences_;
  Section filter_;
  uint64_t unsynced_bytes_ = 0;
  uint64_t entry_count_ = 0;
  uint64_t tombstone_count_ = 0;
  uint64_t damaged_count_ = 0;
  base::KeyId first_key_id_;
  base::KeyId last_key_id_;
};

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_RUN_WRITER_H_
