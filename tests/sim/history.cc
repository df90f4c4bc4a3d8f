#include "tests/sim/history.h"

#include "base/check.h"

namespace slipstream::sim {

uint64_t History::Begin(storage::Mutation::Kind kind, absl::string_view key) {
  operations_.push_back({.kind = kind, .key = std::string(key)});
  return operations_.size();
}

void History::Acknowledge(uint64_t operation_id, const base::Version& version) {
  SLIP_CHECK(operation_id >= 1 && operation_id <= operations_.size());
  operations_[operation_id - 1].acknowledged = version;
}

const Operation* History::Find(uint64_t operation_id) const {
  if (operation_id < 1 || operation_id > operations_.size()) return nullptr;
  return &operations_[operation_id - 1];
}

}  // namespace slipstream::sim
