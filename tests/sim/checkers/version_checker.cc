#include "tests/sim/checkers/version_checker.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/key_id.h"
#include "tests/sim/checkers/dump.h"

namespace slipstream::sim {
namespace {

// A clock that stands still lets only the counter grow, and with it at last the milliseconds.
constexpr absl::Duration kCounterSlack = absl::Milliseconds(100);

}  // namespace

void VersionChecker::OnExecuted(size_t node, const ExecutedWrite& write) {
  for (const storage::Record& record : write.records) {
    const base::ActorId actor = record.version.actor;
    actors_[node] = actor;
    base::Hlc& last = given_[actor];
    if (record.version.hlc <= last) {
      failures_->Report("P3 versions", absl::StrCat("node ", node, " gives ", Describe(record),
                                                    " after HLC ", absl::Hex(last)));
    }
    last = record.version.hlc;
    if (base::TimeFromHlc(last) > latest_clock_() + kCounterSlack) {
      failures_->Report("P3 versions", absl::StrCat("node ", node, " gives ", Describe(record),
                                                    " from ahead of all clocks"));
    }
  }
}

void VersionChecker::OnAcknowledged(size_t node, const ExecutedWrite& write) {
  for (const storage::Record& record : write.records) Take(node, record);
}

void VersionChecker::OnRecordSent(size_t node, const storage::Record& record) {
  Take(node, record);
}

void VersionChecker::OnCrashed(size_t node) {
  // What nobody has seen may be given again.
  const auto actor = actors_.find(node);
  if (actor != actors_.end()) given_[actor->second] = taken_[actor->second];
}

void VersionChecker::Take(size_t node, const storage::Record& record) {
  base::Hlc& taken = taken_[record.version.actor];
  taken = std::max(taken, record.version.hlc);
  const auto [first, is_new] = records_.emplace(record.version, record);
  if (!is_new && first->second != record) {
    failures_->Report("P3 versions",
                      absl::StrCat("node ", node, " shows ", Describe(record), ", a version that ",
                                   Describe(first->second), " has"));
  }
  const auto [dot, dot_is_new] = dots_.emplace(
      std::make_tuple(record.version.actor, base::KeyIdOf(record.key).shard(), record.sequence),
      record.version);
  if (!dot_is_new && dot->second != record.version) {
    failures_->Report("P3 versions",
                      absl::StrCat("node ", node, " shows ", Describe(record),
                                   ", a dot that version ", base::ToString(dot->second), " has"));
  }
}

}  // namespace slipstream::sim
