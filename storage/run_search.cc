#include "storage/run_search.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/check.h"
#include "base/status_macros.h"
#include "storage/run_format.h"

namespace slipstream::storage {
namespace {

constexpr size_t kWantedMin = 16;
// Pages that one read takes where at least two of them are wanted, on average.
constexpr uint64_t kPagesPerRead = 16;
// Else, pages that are read at once, wherever they are.
constexpr size_t kPagesAhead = 32;

}  // namespace

RunSearch::RunSearch(FileSystem* fs, size_t bytes_max)
    : fs_(fs),
      wanted_max_(std::max(
          kWantedMin, bytes_max / (sizeof(Wanted) + sizeof(LocatedEntry) + sizeof(uint32_t)))) {}

void RunSearch::Want(const base::KeyId& key_id, const Location& location) {
  SLIP_CHECK(!full());
  SLIP_CHECK(!started());
  SLIP_CHECK(wanted_.empty() || wanted_.back().location < location);
  wanted_.push_back({.key_id = key_id, .location = location});
}

void RunSearch::Start(std::shared_ptr<const RunSet> runs) {
  SLIP_CHECK(!started());
  runs_ = std::move(runs);
  open_.resize(wanted_.size());
  std::iota(open_.begin(), open_.end(), 0);
  std::sort(open_.begin(), open_.end(),
            [this](uint32_t a, uint32_t b) { return wanted_[a].key_id < wanted_[b].key_id; });
  StartRun();
}

void RunSearch::StartRun() {
  next_ = kept_ = ahead_end_ = 0;
  pages_.reset();
  if (run_index_ == runs_->runs().size()) return;
  const uint64_t page_count = runs_->runs()[run_index_]->page_count();
  is_dense_ = open_.size() * kPagesPerRead >= 2 * page_count;
  if (is_dense_) {
    pages_.emplace(kPagesPerRead, RunPageBuffer::Missing::kAll);
  } else {
    pages_.emplace(kPagesAhead, RunPageBuffer::Missing::kOne);
  }
}

// Reads what the next records need of `run`, as many as there is room for.
absl::Status RunSearch::ReadAhead(const SortedRun& run) {
  const size_t end = std::min(open_.size(), next_ + kPagesAhead);
  std::vector<base::KeyId> key_ids;
  for (size_t i = next_; i < end; ++i) key_ids.push_back(wanted_[open_[i]].key_id);
  SLIP_RETURN_IF_ERROR(run.ReadAhead(fs_, key_ids, *pages_));
  ahead_end_ = end;
  return absl::OkStatus();
}

absl::StatusOr<bool> RunSearch::Step(uint64_t read_bytes_max) {
  SLIP_CHECK(started());
  uint64_t read_bytes = 0;
  while (run_index_ < runs_->runs().size()) {
    const SortedRun& run = *runs_->runs()[run_index_];
    const uint64_t read_bytes_before = pages_->read_bytes();
    while (next_ < open_.size()) {
      if (read_bytes + pages_->read_bytes() - read_bytes_before >= read_bytes_max) return true;
      if (!is_dense_ && next_ == ahead_end_) SLIP_RETURN_IF_ERROR(ReadAhead(run));
      const uint32_t index = open_[next_];
      SLIP_ASSIGN_OR_RETURN(const bool has_key, FindIn(run, wanted_[index]));
      ++next_;
      if (!has_key) open_[kept_++] = index;
    }
    read_bytes += pages_->read_bytes() - read_bytes_before;
    open_.resize(kept_);
    ++run_index_;
    StartRun();
  }
  return false;
}

// Returns whether `run` has an entry of the key; notes it if it is that of the record.
absl::StatusOr<bool> RunSearch::FindIn(const SortedRun& run, Wanted& wanted) {
  SLIP_ASSIGN_OR_RETURN(const absl::optional<RunEntry> entry, run.Find(wanted.key_id, *pages_));
  if (!entry.has_value()) return false;
  if (entry->located.location == wanted.location) {
    wanted.found_index = static_cast<uint32_t>(found_.size());
    found_.push_back(entry->located);
  }
  return true;
}

RunSearch::Found RunSearch::Find(const Location& location) const {
  if (!started() || run_index_ < runs_->runs().size()) return {};
  const auto wanted = std::lower_bound(
      wanted_.begin(), wanted_.end(), location,
      [](const Wanted& one, const Location& other) { return one.location < other; });
  if (wanted == wanted_.end() || wanted->location != location) return {};
  if (wanted->found_index == kNone) return {.verdict = Verdict::kDead};
  return {.verdict = Verdict::kCurrent, .located = &found_[wanted->found_index]};
}

}  // namespace slipstream::storage
