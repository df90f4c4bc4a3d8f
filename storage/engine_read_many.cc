// The engine's side of many reads at once.
//
// What goes wrong with a read, be it that compaction moved its record meanwhile, is left to a
// single read of the key, which knows what to do about it.

#include <utility>

#include "absl/types/span.h"
#include "storage/engine_impl.h"

namespace slipstream::storage {

std::vector<absl::StatusOr<ReadResult>> Engine::Impl::GetMany(
    absl::Span<const absl::string_view> keys, absl::Time now, size_t bytes_max) {
  std::vector<absl::StatusOr<ReadResult>> results;
  std::vector<WaitingRead> waiting;
  size_t bytes = 0;
  for (const absl::string_view key : keys) {
    if (absl::optional<ReadResult> recalled = GetInMemory(key, now)) {
      results.push_back(*std::move(recalled));
      continue;
    }
    const base::KeyId key_id = base::KeyIdOf(key);
    const absl::StatusOr<absl::optional<LocatedEntry>> found = FindEntry(key_id);
    const bool is_record = found.ok() && found->has_value() && !(*found)->damaged &&
                           !(*found)->entry.tombstone && key.size() <= kKeyBytesCeiling;
    if (!is_record) {
      results.push_back(Get(key, now));
      continue;
    }
    const LocatedEntry& located = **found;
    const size_t record_bytes = located.entry.record_bytes;
    if (bytes != 0 && bytes + record_bytes > bytes_max) break;
    bytes += record_bytes;
    const Lsn lsn = log_->IsDurable(located.location) ? 0 : log_->appended_lsn();
    absl::StatusOr<StartedLogRead> read = log_->StartRead(located.location, record_bytes);
    if (!read.ok()) {
      results.push_back(Get(key, now));
      continue;
    }
    waiting.push_back({.index = results.size(),
                       .key_id = key_id,
                       .located = located,
                       .lsn = lsn,
                       .read = *std::move(read)});
    results.emplace_back(absl::UnknownError("not read yet"));
  }
  FinishReads(absl::MakeSpan(waiting), keys, now, results);
  return results;
}

void Engine::Impl::FinishReads(absl::Span<WaitingRead> waiting,
                               absl::Span<const absl::string_view> keys, absl::Time now,
                               std::vector<absl::StatusOr<ReadResult>>& results) {
  std::vector<FileRead> reads;
  for (WaitingRead& one : waiting) {
    if (one.read.file == nullptr) continue;
    AlignedBuffer& pages = one.read.bytes.pages;
    reads.push_back({.file = one.read.file.get(),
                     .offset = one.read.offset,
                     .count = pages.capacity(),
                     .destination = pages.data(),
                     .status = {}});
  }
  if (!reads.empty()) fs_->ReadMany(absl::MakeSpan(reads));
  size_t next_read = 0;
  for (WaitingRead& one : waiting) {
    absl::Status status;
    if (one.read.file != nullptr) status = reads[next_read++].status;
    CurrentRecord current{
        .entry = one.located.entry, .location = one.located.location, .lsn = one.lsn};
    current.bytes = std::move(one.read.bytes);
    if (status.ok()) status = CheckRecord(one.located.entry, Check::kChecksum, current);
    const absl::string_view key = keys[one.index];
    results[one.index] = status.ok()
                             ? absl::StatusOr<ReadResult>(Reveal(one.key_id, key, current, now))
                             : Get(key, now);
  }
}

}  // namespace slipstream::storage
