#include "node/server.h"

#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "grpc/grpc.h"
#include "grpc/support/log.h"
#include "grpcpp/health_check_service_interface.h"
#include "grpcpp/impl/service_type.h"
#include "grpcpp/resource_quota.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"
#include "node/admin_service.h"
#include "node/kv_service.h"
#include "node/peer_service.h"
#include "node/real_clock.h"

namespace slipstream::node {
namespace {

constexpr int kKeepaliveTimeMs = 30'000;
constexpr int kKeepaliveTimeoutMs = 10'000;
// Clients may ask so often whether the server is there; more often is abuse.
constexpr int kClientPingIntervalMinMs = 5'000;

void Configure(grpc::ServerBuilder& builder) {
  // Otherwise a second daemon on the same port would get every other connection.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kStreamsPerConnectionMax);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kMetadataBytesMax);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveTimeMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             kClientPingIntervalMinMs);
  builder.SetMaxReceiveMessageSize(kReceiveBytesMax);
  builder.SetMaxSendMessageSize(-1);  // Answers are bounded where they are made.
  builder.SetResourceQuota(grpc::ResourceQuota("slipstream").Resize(kGrpcBytesMax));
  // Reflection is the one service with threads of its own; it needs no more than these.
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::NUM_CQS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::MIN_POLLERS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::MAX_POLLERS, 1);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Start(storage::FileSystem* fs,
                                                      const ServerOptions& options, uint64_t seed,
                                                      FailureHandler on_failure) {
  std::unique_ptr<Server> server(new Server(options, seed, std::move(on_failure)));
  SLIP_RETURN_IF_ERROR(server->Open(fs));
  SLIP_RETURN_IF_ERROR(server->Listen());
  return server;
}

Server::Server(const ServerOptions& options, uint64_t seed, FailureHandler on_failure)
    : options_(options),
      rng_(seed),
      on_failure_(std::move(on_failure)),
      endpoint_(options.listen),
      gate_(options.calls),
      peer_gate_(options.calls),
      transactions_(options.transactions) {}

Server::~Server() {
  // Whoever wants to know how closing went calls Drain.
  if (!drained_) Drain().IgnoreError();
}

absl::Status Server::Open(storage::FileSystem* fs) {
  SLIP_ASSIGN_OR_RETURN(replica_,
                        Replica::Open(fs, options_.data_directory, options_.replica, &rng_));
  snapshots_ = std::make_unique<SnapshotSaver>(fs, replica_.get(), options_.data_directory);
  const auto on_failure = [this](const absl::Status& status) { ReportFailure(status); };
  peers_ = std::make_unique<PeerClient>(options_.replica.peers);
  commits_ = std::make_unique<CommitQueue>(
      &replica_->engine(),
      CommitOptions{.sync = options_.replica.storage.sync, .interval = options_.sync_interval},
      on_failure);
  protocol_ = std::make_unique<ProtocolLoop>(replica_.get(), commits_.get(), peers_.get());
  maintenance_ = std::make_unique<Maintenance>(replica_.get(), options_.maintenance, on_failure);
  trimmer_ = std::make_unique<HeapTrimmer>(options_.replica.storage.memory_limit_bytes);
  workers_ = std::make_unique<WorkerPool>(options_.workers);
  readers_ = std::make_unique<WorkerPool>(options_.readers);
  peer_workers_ = std::make_unique<WorkerPool>(options_.workers);
  serving_ = {.replica = replica_.get(),
              .commits = commits_.get(),
              .gate = &gate_,
              .workers = workers_.get(),
              .readers = readers_.get(),
              .protocol = protocol_.get(),
              .peers = peers_.get(),
              .streams = &streams_,
              .transactions = &transactions_,
              .snapshots = snapshots_.get(),
              .listen_address = &listen_address_,
              .data_directory = options_.data_directory,
              .started_at = SteadyNow()};
  peer_serving_ = serving_;
  peer_serving_.gate = &peer_gate_;
  peer_serving_.workers = peer_workers_.get();
  return absl::OkStatus();
}

absl::Status Server::Listen() {
  grpc::EnableDefaultHealthCheckService(true);
  grpc::ServerBuilder builder;
  Configure(builder);
  int port = 0;
  builder.AddListeningPort(ToString(options_.listen), grpc::InsecureServerCredentials(), &port);
  services_.push_back(MakeKvService(&serving_));
  services_.push_back(MakeAdminService(&serving_));
  services_.push_back(MakePeerService(&peer_serving_));
  for (const std::unique_ptr<grpc::Service>& service : services_) {
    builder.RegisterService(service.get());
  }
  grpc_server_ = builder.BuildAndStart();
  if (grpc_server_ == nullptr || port == 0) {
    SLIP_RETURN_IF_ERROR(WhyNotListen(options_.listen));
    return absl::UnavailableError(absl::StrCat(ToString(options_.listen), ": cannot listen there"));
  }
  endpoint_.port = static_cast<uint16_t>(port);
  listen_address_.Set(ToString(endpoint_));
  return absl::OkStatus();
}

absl::Status Server::Drain() {
  drained_ = true;
  gate_.StartDraining();
  peer_gate_.StartDraining();
  streams_.DrainAll();
  if (grpc_server_ != nullptr) {
    if (auto* const health = grpc_server_->GetHealthCheckService(); health != nullptr) {
      health->SetServingStatus(false);
    }
    // Not gRPC's own deadline: it waits for connections too, which idle clients keep open.
    gate_.AwaitIdle(options_.drain_timeout);
    peer_gate_.AwaitIdle(options_.drain_timeout);
    grpc_server_->Shutdown(absl::ToChronoTime(WallNow()));
  }
  if (replica_ == nullptr) return absl::OkStatus();
  // No call is left. What the node asked of its peers is dropped.
  protocol_->Stop();
  peers_->Stop();
  workers_->Stop();
  readers_->Stop();
  peer_workers_->Stop();
  commits_->Stop();
  maintenance_->Stop();
  return replica_->engine().Close();
}

void Server::ReportFailure(const absl::Status& status) {
  if (!failure_reported_.exchange(true)) on_failure_(status);
}

void SetUpGrpc() {
  grpc_init();
  if (std::getenv("GRPC_VERBOSITY") == nullptr) {
    gpr_set_log_function([](gpr_log_func_args*) {});
  }
}

}  // namespace slipstream::node
