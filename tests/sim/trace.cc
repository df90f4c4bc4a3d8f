#include "tests/sim/trace.h"

#include <utility>

#include "absl/strings/str_format.h"
#include "base/crc32c.h"

namespace slipstream::sim {

void Trace::Add(TraceEvent event) {
  Mix(static_cast<uint64_t>(absl::ToUnixNanos(scheduler_->now())));
  Mix(event.what);
  Mix(event.node);
  Mix(event.a);
  Mix(event.b);
  Mix(event.text);
  tail_.push_back({.time = scheduler_->now(), .event = std::move(event)});
  if (tail_.size() > kTailEvents) tail_.pop_front();
}

std::string Trace::Tail() const {
  std::string text;
  for (const auto& [time, event] : tail_) {
    absl::StrAppendFormat(&text, "%14.6f node %d %-12s %x %x %s\n",
                          absl::ToDoubleSeconds(time - absl::UnixEpoch()), event.node, event.what,
                          event.a, event.b, event.text);
  }
  return text;
}

void Trace::Mix(uint64_t value) {
  // The finalizer of splitmix64, chained.
  uint64_t mixed = hash_ ^ value;
  mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
  mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
  hash_ = (mixed ^ (mixed >> 31)) + 0x9e3779b97f4a7c15;
}

void Trace::Mix(absl::string_view text) { Mix((text.size() << 32) + base::Crc32c(text)); }

}  // namespace slipstream::sim
