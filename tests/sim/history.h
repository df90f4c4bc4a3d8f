// History: what clients asked for and what they were promised. The oracle that checkers judge by;
// it knows nothing of replicas.
#ifndef SLIPSTREAM_TESTS_SIM_HISTORY_H_
#define SLIPSTREAM_TESTS_SIM_HISTORY_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "base/version.h"
#include "storage/entry.h"

namespace slipstream::sim {

// One write of one key. Several of one batch are several operations.
struct Operation {
  storage::Mutation::Kind kind = storage::Mutation::Kind::kPut;
  std::string key;
  // Its version if it was acknowledged; without one it may have been applied or not.
  absl::optional<base::Version> acknowledged;
};

// Not thread-safe; owned by the simulation.
class History {
 public:
  // Begins an operation and returns its id, from 1.
  uint64_t Begin(storage::Mutation::Kind kind, absl::string_view key);
  // The node let go of the acknowledgement: the promise is given, whether or not it arrives.
  void Acknowledge(uint64_t operation_id, const base::Version& version);

  // Null if there is none.
  const Operation* Find(uint64_t operation_id) const;
  const std::vector<Operation>& operations() const { return operations_; }

 private:
  std::vector<Operation> operations_;
};

}  // namespace slipstream::sim

#endif  // SLIPSTREAM_TESTS_SIM_HISTORY_H_
