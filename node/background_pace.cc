#include "node/background_pace.h"

#include <sys/resource.h>

#include <algorithm>

namespace slipstream::node {
namespace {

// The answer costs the engine all its locks, one after the other.
constexpr absl::Duration kQuestionPeriod = absl::Seconds(1);
constexpr int kPausePerBurst = 3;
// A tenth of the weight of a thread that serves, as Linux's scheduler counts.
constexpr int kNice = 10;

}  // namespace

// On Linux `PRIO_PROCESS` with 0 means the calling thread, see setpriority(2), "C library/kernel
// differences".
bool BackgroundPace::LowerPriority() { return setpriority(PRIO_PROCESS, 0, kNice) == 0; }

void BackgroundPace::Observe(const storage::Engine& engine, absl::Duration now) {
  if (now < next_question_at_) return;
  next_question_at_ = now + kQuestionPeriod;
  Observe(engine.stats());
}

void BackgroundPace::Observe(const storage::EngineStats& stats) {
  is_behind_ =
      stats.compaction_debt_bytes > stats.log_bytes / 4 || stats.checkpoint_debt_bytes != 0;
}

absl::Duration BackgroundPace::PauseAfter(absl::Duration burst, bool has_more) const {
  if (!has_more) return period_;
  return is_behind_ ? absl::ZeroDuration() : std::min(period_, kPausePerBurst * burst);
}

}  // namespace slipstream::node
