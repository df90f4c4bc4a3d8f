// Trace: what happened in a run, as a hash of everything and the text of the end.
//
// Two runs of one seed must end with the same hash. The text is for people, after a failure.
#ifndef SLIPSTREAM_TESTS_SIM_TRACE_H_
#define SLIPSTREAM_TESTS_SIM_TRACE_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "tests/sim/scheduler.h"

namespace slipstream::sim {

// Something that happened. Which of the numbers mean what depends on `what`.
struct TraceEvent {
  absl::string_view what;  // A literal.
  size_t node = 0;
  uint64_t a = 0;
  uint64_t b = 0;
  std::string text;
};

// Not thread-safe; owned by the simulation.
class Trace {
 public:
  // `scheduler` must outlive the trace.
  explicit Trace(const Scheduler* scheduler) : scheduler_(scheduler) {}

  void Add(TraceEvent event);

  uint64_t hash() const { return hash_; }
  // The last events, a line each.
  std::string Tail() const;

  // Events that are kept as text.
  static constexpr size_t kTailEvents = 200;

 private:
  struct Stamped {
    absl::Time time;
    TraceEvent event;
  };

  void Mix(uint64_t value);
  void Mix(absl::string_view text);

  const Scheduler* const scheduler_;
  uint64_t hash_ = 0x9e3779b97f4a7c15;
  std::deque<Stamped> tail_;
};

}  // namespace slipstream::sim

#endif  // SLIPSTREAM_TESTS_SIM_TRACE_H_
