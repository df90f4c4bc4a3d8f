// Checker: one who watches a run from outside the replicas and judges.
//
// Everything a checker sees is what a client or a peer could see, or the state at a moment of rest.
// Each reports the first thing that breaks its promise to a FailureLog.
#ifndef SLIPSTREAM_TESTS_SIM_CHECKERS_CHECKER_H_
#define SLIPSTREAM_TESTS_SIM_CHECKERS_CHECKER_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/strings/string_view.h"
#include "node/replica.h"
#include "storage/engine.h"
#include "storage/entry.h"
#include "storage/memory_file_system.h"

namespace slipstream::sim {

// A write as its coordinator carried it out.
struct ExecutedWrite {
  storage::Atomicity atomicity = storage::Atomicity::kAll;
  std::vector<uint64_t> operation_ids;
  std::vector<storage::Record> records;  // One for each operation.
  storage::Lsn lsn = 0;                  // Of the last of them.
};

// A node at rest.
struct RestingNode {
  node::Replica* replica = nullptr;
  storage::MemoryFileSystem* disk = nullptr;
  absl::string_view directory;
};

// Not thread-safe; owned by the simulation.
class Checker {
 public:
  virtual ~Checker() = default;

  // A node carried out a write, and later let go of its acknowledgement.
  virtual void OnExecuted(size_t, const ExecutedWrite&) {}
  virtual void OnAcknowledged(size_t, const ExecutedWrite&) {}
  // A node read a key, and later let go of the result.
  virtual void OnRead(size_t, absl::string_view, const storage::ReadResult&) {}
  virtual void OnReadReleased(size_t, absl::string_view, const storage::ReadResult&) {}
  // A record leaves a node for a peer.
  virtual void OnRecordSent(size_t, const storage::Record&) {}
  // A node ended without warning; and is back, before it has heard from anyone.
  virtual void OnCrashed(size_t) {}
  virtual void OnStarted(size_t, node::Replica&) {}
  // A node's disk has been damaged: it is excused for what it has lost.
  virtual void OnDamaged(size_t) {}
  // A node at any moment of a run.
  virtual void OnGlance(size_t, node::Replica&) {}
  // All faults have ended, no client writes any more; and later, perhaps again after a disk was
  // damaged: the nodes have had their time to converge.
  virtual void OnHealed(const std::vector<RestingNode>&) {}
  virtual void OnQuiesced(const std::vector<RestingNode>&) {}
};

}  // namespace slipstream::sim

#endif  // SLIPSTREAM_TESTS_SIM_CHECKERS_CHECKER_H_
