// Replica: one member of the cluster as one deterministic object. Start reading node/ here.
//
// It composes the storage engine, the Merkle tree and gossip. Everything that happens to it is a
// call; everything it wants done is a return value or an entry of the Outbox. It knows no thread,
// socket or clock: the server gives it real ones, the simulator false ones, and both link this
// target.
//
// Output rule: under SyncPolicy::kAlways nothing that depends on a record leaves the node, neither
// a reply to a client nor a message to a peer, before that record is durable. Results carry the Lsn
// to wait for; 0 or one that durable_lsn() has reached may go at once. Under a weaker policy they
// are all 0.
#ifndef SLIPSTREAM_NODE_REPLICA_H_
#define SLIPSTREAM_NODE_REPLICA_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/random.h"
#include "merkle/tree.h"
#include "node/peer_messages.h"
#include "node/replica_scan.h"
#include "node/replica_types.h"
#include "storage/engine.h"
#include "storage/entry.h"
#include "storage/file_system.h"
#include "storage/precondition.h"
#include "storage/write_stream.h"

namespace slipstream::node {

// Thread-safe but for the protocol path, as said below.
class Replica {
 public:
  // Opens the store in `directory` and makes the tree dirty with all it holds. `fs` and `rng` must
  // outlive the replica; `rng` is used by Open and the protocol path only. Errors as Engine::Open.
  static absl::StatusOr<std::unique_ptr<Replica>> Open(storage::FileSystem* fs,
                                                       absl::string_view directory,
                                                       const ReplicaOptions& options,
                                                       base::Random* rng);
  ~Replica();
  Replica(const Replica&) = delete;
  Replica& operator=(const Replica&) = delete;

  // Data path. Thread-safe.

  // As Engine::Write; what was written is also queued to be pushed to the peers: see has_outgoing.
  absl::StatusOr<storage::WriteResult> Write(absl::Span<const storage::Mutation> mutations,
                                             storage::Atomicity atomicity, absl::Time now);
  // As Engine::Transact, and pushed as what Write wrote. `lsn` is set in any case: an answer, a
  // conflict too, speaks of records that may be lost until durable_lsn() has reached it.
  absl::StatusOr<storage::WriteResult> Transact(
      absl::Span<const storage::Precondition> preconditions,
      absl::Span<const storage::Mutation> mutations, absl::Time now, storage::Lsn* lsn);
  // As Engine::CommitStream; `lsn` as Transact. Not pushed: peers learn of it by gossip, in parts.
  absl::StatusOr<storage::WriteResult> CommitStream(
      absl::Span<const storage::Precondition> preconditions, storage::WriteStream& stream,
      absl::Time now, storage::Lsn* lsn);
  // As Engine::Get, GetInMemory and GetMany.
  absl::StatusOr<storage::ReadResult> Get(absl::string_view key, absl::Time now);
  absl::optional<storage::ReadResult> GetInMemory(absl::string_view key, absl::Time now);
  std::vector<absl::StatusOr<storage::ReadResult>> GetMany(absl::Span<const absl::string_view> keys,
                                                           absl::Time now, size_t bytes_max);
  // Lists live keys by key_id. A damaged record ends it with DATA_LOSS that names the key_id.
  absl::StatusOr<ScanPage> Scan(const ScanOptions& options, absl::Time now);
  // As Tree::Prove; `lsn` as in ReadResult.
  absl::StatusOr<merkle::Tree::RootedProof> Prove(absl::string_view key, storage::Lsn* lsn);
  // This node's root, key count and clock, now; `lsn` as in ReadResult.
  NodeSummary Summary(storage::Lsn* lsn);
  // Answers a peer. The response may leave when durable_lsn() has reached `lsn`. INVALID_ARGUMENT
  // (MESSAGE_INVALID) if the request breaks the protocol.
  absl::StatusOr<PeerResponse> Answer(const PeerRequest& request, absl::Time now,
                                      storage::Lsn* lsn);

  // Protocol path. Not thread-safe among themselves: one owner. `now` never goes back.

  // Does what is due by `now`: exchanges of roots, pushes of queued writes. Appends calls to
  // `outbox`.
  void Tick(absl::Time now, Outbox& outbox);
  // The earliest time at which Tick has something to do, but for what has_outgoing tells. Ask again
  // after each Tick and OnReply.
  absl::Time next_tick() const;
  // Takes the answer to a call of an earlier Outbox; `bytes` may be zero if nothing arrived.
  void OnReply(CallId call_id, absl::StatusOr<PeerResponse> response, const WireBytes& bytes,
               absl::Time now, Outbox& outbox);

  // Thread-safe.

  // Whether writes wait to be pushed or a peer was heard of: call Tick soon.
  bool has_outgoing() const;
  // One bounded step of the search for damage: of Engine::Scrub and Tree::Verify. What is found is
  // quarantined or marked dirty, so that the roots differ and repair begins. Errors as
  // Engine::Scrub.
  absl::StatusOr<ScrubStep> Scrub();
  // Buckets of the tree that Scrub found to differ since Open.
  uint64_t tree_difference_count() const;
  std::vector<MemberState> members() const;
  RepairStats repair_stats() const;
  PushStats push_stats() const;
  // For Flush, Maintain, Close, stats and durable_lsn.
  storage::Engine& engine();
  merkle::Tree& tree();
  const ReplicaOptions& options() const;

 private:
  class Impl;
  explicit Replica(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace slipstream::node

#endif  // SLIPSTREAM_NODE_REPLICA_H_
