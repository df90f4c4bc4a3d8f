// The first invariant that a run violated.
#ifndef SLIPSTREAM_TESTS_SIM_FAILURE_H_
#define SLIPSTREAM_TESTS_SIM_FAILURE_H_

#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "absl/types/optional.h"

namespace slipstream::sim {

struct Failure {
  std::string invariant;  // As in docs/guarantees.md, with a name: "P1 durability".
  std::string what;
};

// Keeps the first one: what follows from it is of no interest. Not thread-safe; owned by the
// simulation.
class FailureLog {
 public:
  void Report(absl::string_view invariant, std::string what) {
    if (!first_.has_value()) first_ = Failure{std::string(invariant), std::move(what)};
  }
  const absl::optional<Failure>& first() const { return first_; }

 private:
  absl::optional<Failure> first_;
};

}  // namespace slipstream::sim

#endif  // SLIPSTREAM_TESTS_SIM_FAILURE_H_
