#include "storage/run_merge_cursor.h"

#include <numeric>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_format.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "base/version.h"

namespace slipstream::storage {

RunMergeCursor::RunMergeCursor(Runs runs, const base::KeyRange& range) : runs_(std::move(runs)) {
  SLIP_CHECK(runs_.size() <= kRunsMax);
  cursors_.reserve(runs_.size());
  for (const std::shared_ptr<const SortedRun>& run : runs_) cursors_.emplace_back(*run, range);
  // All of them have to move before the first key is known.
  holders_.resize(runs_.size());
  std::iota(holders_.begin(), holders_.end(), size_t{0});
}

absl::Status RunMergeCursor::Next() {
  if (!status_.ok()) return status_;
  status_ = Advance();
  if (!status_.ok()) entries_.clear();
  return status_;
}

absl::Status RunMergeCursor::Advance() {
  for (const size_t holder : holders_) SLIP_RETURN_IF_ERROR(cursors_[holder].Next());
  holders_.clear();
  entries_.clear();
  for (size_t i = 0; i < cursors_.size(); ++i) {
    if (!cursors_[i].valid()) continue;
    const RunEntry& entry = cursors_[i].entry();
    if (!entries_.empty()) {
      const auto order = entry.key_id() <=> entries_.front().key_id();
      if (order > 0) continue;
      if (order < 0) {
        holders_.clear();
        entries_.clear();
      }
    }
    holders_.push_back(i);
    entries_.push_back(entry);
  }
  return CheckVersions(holders_);
}

absl::Status RunMergeCursor::CheckVersions(absl::Span<const size_t> holders) const {
  for (size_t i = 1; i < entries_.size(); ++i) {
    const base::Version& newer = entries_[i - 1].located.entry.version;
    const base::Version& older = entries_[i].located.entry.version;
    if (older <= newer) continue;
    return absl::DataLossError(absl::StrFormat(
        "%s: key_id %s has version %s, the newer %s only %s", runs_[holders[i]]->path(),
        absl::BytesToHexString(entries_[i].key_id().view()), base::ToString(older),
        runs_[holders[i - 1]]->path(), base::ToString(newer)));
  }
  return absl::OkStatus();
}

}  // namespace slipstream::storage
