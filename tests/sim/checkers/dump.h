// Dump: all that a node holds, read key by key, with no help of the Merkle tree.
#ifndef SLIPSTREAM_TESTS_SIM_CHECKERS_DUMP_H_
#define SLIPSTREAM_TESTS_SIM_CHECKERS_DUMP_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/digest.h"
#include "storage/engine.h"
#include "storage/entry.h"

namespace slipstream::sim {

// All entries, tombstones too, in key_id order.
std::vector<storage::Entry> EntriesOf(storage::Engine& engine);

// Their records, in the same order. DATA_LOSS if one does not fit its entry.
absl::StatusOr<std::vector<storage::Record>> RecordsOf(storage::Engine& engine);

// The root of the live ones among `entries`, by definition.
base::Digest RootByDefinition(const std::vector<storage::Entry>& entries);

// For messages: key, version and what it is.
std::string Describe(const storage::Record& record);

}  // namespace slipstream::sim

#endif  // SLIPSTREAM_TESTS_SIM_CHECKERS_DUMP_H_
