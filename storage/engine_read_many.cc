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
  size_t bytes = 0;  // Of what is there, and of what will be read.
  for (const absl::string_view key : keys) {
    if (bytes > bytes_max) break;
    absl::optional<WaitingRead> wait;
    absl::StatusOr<ReadResult> result = Begin(key, now, wait);
    if (wait.has_value()) {
      const size_t record_bytes = wait->located.entry.record_bytes;
      if (bytes != 0 && bytes + record_bytes > bytes_max) break;
      bytes += record_bytes;
      wait->index = results.size();
      waiting.push_back(*std::move(wait));
    } else if (result.ok()) {
      if (bytes != 0 && bytes + result->value.size() > bytes_max) break;
      bytes += result->value.size();
    }
    results.push_back(std::move(result));
  }
  FinishReads(absl::MakeSpan(waiting), keys, now, bytes_max, results);
  return results;
}

// Reads `key` as Get, or sets `wait` if that takes a read of the log; then the result says nothing.
absl::StatusOr<ReadResult> Engine::Impl::Begin(absl::string_view key, absl::Time now,
                                               absl::optional<WaitingRead>& wait) {
  if (absl::optional<ReadResult> recalled = GetInMemory(key, now)) return *std::move(recalled);
  const base::KeyId key_id = base::KeyIdOf(key);
  const absl::StatusOr<absl::optional<LocatedEntry>> found = FindEntry(key_id);
  const bool is_record = found.ok() && found->has_value() && !(*found)->damaged &&
                         !(*found)->entry.tombstone && key.size() <= kKeyBytesCeiling;
  if (!is_record) return Get(key, now);
  const LocatedEntry& located = **found;
  const Lsn lsn = IsDurable(located.location) ? 0 : log_->appended_lsn();
  absl::StatusOr<StartedLogRead> read =
      log_->StartRead(located.location, located.entry.record_bytes);
  if (!read.ok()) return Get(key, now);
  wait = {.key_id = key_id, .located = located, .lsn = lsn, .read = *std::move(read)};
  return absl::UnknownError("not read yet");
}

// Compressed values may be many times as long as their records: once they are more than `bytes_max`
// together, the results end.
void Engine::Impl::FinishReads(absl::Span<WaitingRead> waiting,
                               absl::Span<const absl::string_view> keys, absl::Time now,
                               size_t bytes_max, std::vector<absl::StatusOr<ReadResult>>& results) {
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
  size_t value_bytes = 0;
  for (WaitingRead& one : waiting) {
    if (value_bytes > bytes_max) {
      results.resize(one.index, absl::UnknownError(""));
      return;
    }
    absl::Status status;
    if (one.read.file != nullptr) status = reads[next_read++].status;
    CurrentRecord current{
        .entry = one.located.entry, .location = one.located.location, .lsn = one.lsn};
    current.bytes = std::move(one.read.bytes);
    if (status.ok()) status = CheckRecord(one.located.entry, Check::kChecksum, current);
    const absl::string_view key = keys[one.index];
    absl::StatusOr<ReadResult>& result = results[one.index];
    if (status.ok()) {
      result = Reveal(one.key_id, key, current, now);
    } else {
      result = Get(key, now);
    }
    if (result.ok()) value_bytes += result->value.size();
  }
}

}  // namespace slipstream::storage
