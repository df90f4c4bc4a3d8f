// Serving: what the gRPC services work with. The server owns the parts; the services share them.
#ifndef SLIPSTREAM_NODE_SERVING_H_
#define SLIPSTREAM_NODE_SERVING_H_

#include <cstddef>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "node/call_gate.h"
#include "node/commit_queue.h"
#include "node/open_streams.h"
#include "node/open_transactions.h"
#include "node/protocol_loop.h"
#include "node/replica.h"
#include "node/snapshot_saver.h"
#include "node/worker_pool.h"
#include "storage/engine.h"
#include "storage/entry.h"
#include "storage/precondition.h"
#include "storage/write_stream.h"

namespace slipstream::node {

// An answer's values take no more than this together, unless the first of them does: below the
// 4 MiB that gRPC clients take unless they are told otherwise.
inline constexpr size_t kAnswerBytesMax = 3 << 20;

// The address that the server listens on: known a moment after its first call may come.
// Thread-safe.
class ListenAddress {
 public:
  void Set(std::string address) {
    address_ = std::move(address);
    is_set_.Notify();
  }
  // Waits for that moment.
  const std::string& Get() const {
    is_set_.WaitForNotification();
    return address_;
  }

 private:
  std::string address_;
  absl::Notification is_set_;
};

// Thread-safe. The parts must outlive all calls.
struct Serving {
  Replica* replica = nullptr;
  CommitQueue* commits = nullptr;
  CallGate* gate = nullptr;
  WorkerPool* workers = nullptr;  // For what takes long.
  WorkerPool* readers = nullptr;  // For what may wait for the disk to read records.
  ProtocolLoop* protocol = nullptr;
  PeerTransport* peers = nullptr;
  OpenStreams* streams = nullptr;
  OpenTransactions* transactions = nullptr;
  SnapshotSaver* snapshots = nullptr;
  const ListenAddress* listen_address = nullptr;
  std::string data_directory;
  absl::Duration started_at;  // On the steady clock.

  // As Replica::Write, at the wall clock's time; also sees to it that what was written gets to the
  // disk and to the peers. Answer the client when commits says that the result's lsn is durable.
  absl::StatusOr<storage::WriteResult> Write(absl::Span<const storage::Mutation> mutations,
                                             storage::Atomicity atomicity) const;
  // As Replica::Transact, likewise.
  absl::StatusOr<storage::WriteResult> Transact(
      absl::Span<const storage::Precondition> preconditions,
      absl::Span<const storage::Mutation> mutations, storage::Lsn* lsn) const;
  // As Replica::CommitStream, likewise, but for the peers.
  absl::StatusOr<storage::WriteResult> CommitStream(
      absl::Span<const storage::Precondition> preconditions, storage::WriteStream& stream,
      storage::Lsn* lsn) const;
  // As Replica::Answer, likewise.
  absl::StatusOr<PeerResponse> Answer(const PeerRequest& request, size_t request_bytes,
                                      storage::Lsn* lsn) const;
  // Sees to it that `mutations`, which the replica has written, get to the disk and to the peers.
  void NoteWritten(absl::Span<const storage::Mutation> mutations) const;
};

}  // namespace slipstream::node

#endif  // SLIPSTREAM_NODE_SERVING_H_
