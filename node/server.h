// Server: a replica on the network. It gives the replica threads, the real clock and gRPC, and
// takes them away again in the right order. What the calls do: kv_service.h, admin_service.h,
// peer_service.h; how their answers wait for the disk: commit_queue.h.
#ifndef SLIPSTREAM_NODE_SERVER_H_
#define SLIPSTREAM_NODE_SERVER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/random.h"
#include "node/call_gate.h"
#include "node/commit_queue.h"
#include "node/endpoint.h"
#include "node/heap_trimmer.h"
#include "node/maintenance.h"
#include "node/open_streams.h"
#include "node/open_transactions.h"
#include "node/peer_client.h"
#include "node/protocol_loop.h"
#include "node/replica.h"
#include "node/serving.h"
#include "node/snapshot_saver.h"
#include "node/worker_pool.h"
#include "storage/file_system.h"

namespace grpc {
class Server;
class Service;
}  // namespace grpc

namespace slipstream::node {

struct ServerOptions {
  Endpoint listen{.host = "127.0.0.1", .port = 7400};  // Port 0: a free one.
  std::string data_directory = "./slipstream-data";
  ReplicaOptions replica;
  absl::Duration sync_interval = absl::Seconds(1);  // As CommitOptions::interval.
  CallLimits calls;
  TransactionLimits transactions;
  WorkerPoolOptions workers;
  // Reads that wait for the disk: as many as a device likes to have at once.
  WorkerPoolOptions readers = {.thread_count = 16};
  MaintenanceOptions maintenance;
  // How long calls under way may go on after Drain, before they are cancelled.
  absl::Duration drain_timeout = absl::Seconds(5);
};

// A message from a client or a peer is refused beyond this, by gRPC, with RESOURCE_EXHAUSTED: above
// every limit of ours, so that those answer first and name themselves.
inline constexpr int kReceiveBytesMax = 9 << 20;
// Memory of gRPC's for all connections together.
inline constexpr size_t kGrpcBytesMax = 512 << 20;
inline constexpr int kStreamsPerConnectionMax = 1024;
inline constexpr int kMetadataBytesMax = 16 << 10;

// Thread-safe but for Drain.
class Server {
 public:
  using FailureHandler = absl::AnyInvocable<void(const absl::Status&)>;

  // Opens the replica, then listens. `fs` must outlive the server; `seed` is for what may be left
  // to chance. `on_failure` is called once, on any thread, if the engine fails: it must not block;
  // the process should then Drain and leave. Errors as Replica::Open, then those of WhyNotListen.
  static absl::StatusOr<std::unique_ptr<Server>> Start(storage::FileSystem* fs,
                                                       const ServerOptions& options, uint64_t seed,
                                                       FailureHandler on_failure);
  // Drains if that was not done.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Takes no new calls, waits for those under way up to drain_timeout, then cancels them; makes all
  // that was written durable and closes the store. Returns what closing it returned.
  absl::Status Drain();

  // The address it listens on, with the port that was chosen.
  const Endpoint& endpoint() const { return endpoint_; }
  Replica& replica() { return *replica_; }
  const CallGate& gate() const { return gate_; }
  const OpenTransactions& transactions() const { return transactions_; }

 private:
  Server(const ServerOptions& options, uint64_t seed, FailureHandler on_failure);
  absl::Status Open(storage::FileSystem* fs);
  absl::Status Listen();
  // Tells of the engine's failure, the first time.
  void ReportFailure(const absl::Status& status);

  const ServerOptions options_;
  base::Random rng_;  // Of Open, then of the protocol's thread.
  std::atomic<bool> failure_reported_ = false;
  FailureHandler on_failure_;
  Endpoint endpoint_;

  // Each uses those before it, so that they are destroyed in the opposite order.
  CallGate gate_;
  CallGate peer_gate_;
  OpenStreams streams_;
  OpenTransactions transactions_;
  ListenAddress listen_address_;
  std::unique_ptr<Replica> replica_;
  std::unique_ptr<SnapshotSaver> snapshots_;
  std::unique_ptr<PeerClient> peers_;
  std::unique_ptr<CommitQueue> commits_;
  std::unique_ptr<ProtocolLoop> protocol_;
  std::unique_ptr<Maintenance> maintenance_;
  std::unique_ptr<HeapTrimmer> trimmer_;
  std::unique_ptr<WorkerPool> workers_;
  std::unique_ptr<WorkerPool> readers_;
  std::unique_ptr<WorkerPool> peer_workers_;
  Serving serving_;
  // The same, but with a gate and workers that clients cannot fill: however busy they keep the
  // node, its peers still reach it.
  Serving peer_serving_;
  std::vector<std::unique_ptr<grpc::Service>> services_;
  std::unique_ptr<grpc::Server> grpc_server_;
  bool drained_ = false;
};

// Process-wide, before anything else of gRPC's. Keeps its own words out of stderr, but for an
// operator who set GRPC_VERBOSITY; and keeps it from shutting down when its last object goes, which
// may wait ten seconds for a thread of its own that polls: the process's end needs no such wait.
void SetUpGrpc();

}  // namespace slipstream::node

#endif  // SLIPSTREAM_NODE_SERVER_H_
