// TestServer: a server in this process on a free loopback port with a disk in memory, and a client
// for it that waits for answers.
#ifndef SLIPSTREAM_NODE_TESTING_TEST_SERVER_H_
#define SLIPSTREAM_NODE_TESTING_TEST_SERVER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"
#include "node/grpc_status.h"
#include "node/server.h"
#include "slipstream/v1/admin.grpc.pb.h"
#include "slipstream/v1/kv.grpc.pb.h"
#include "slipstream/v1/peer.grpc.pb.h"
#include "storage/memory_file_system.h"

namespace slipstream::node {

// How long a test waits for what must happen: so long that only a failure takes it.
inline constexpr absl::Duration kTestTimeout = absl::Seconds(60);

// Makes `context` end at kTestTimeout.
void SetTestDeadline(grpc::ClientContext& context);

// Not thread-safe, but for calls of the stubs.
class TestServer {
 public:
  // Port 0, short intervals, small segments; otherwise what ships.
  static ServerOptions DefaultOptions();

  // Starts a server, on `disk` if given, which must outlive it; else on one of its own. Nodes of
  // one cluster need different seeds: their ids come of them.
  explicit TestServer(const ServerOptions& options = DefaultOptions(),
                      storage::MemoryFileSystem* disk = nullptr, uint64_t seed = 1);

  Server& server() { return *server_; }
  storage::MemoryFileSystem& disk() { return *disk_; }
  std::string address() const { return ToString(server_->endpoint()); }
  // Notified when the server has reported that its engine failed.
  absl::Notification& failed() { return failed_; }

  v1::KvService::Stub& kv() { return *kv_; }
  v1::AdminService::Stub& admin() { return *admin_; }
  v1::PeerService::Stub& peer() { return *peer_; }
  const std::shared_ptr<grpc::Channel>& channel() { return channel_; }

  // Calls `method` of `stub`, and returns its response or how it ended.
  template <typename Stub, typename Request, typename Response>
  static absl::StatusOr<Response> Call(
      Stub& stub, grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
      const Request& request, absl::Duration timeout = kTestTimeout) {
    grpc::ClientContext context;
    SetDeadline(context, timeout);
    Response response;
    const grpc::Status status = (stub.*method)(&context, request, &response);
    if (!status.ok()) return FromGrpcStatus(status, context);
    return response;
  }

  absl::StatusOr<v1::Version> Put(absl::string_view key, absl::string_view value);
  absl::StatusOr<v1::Version> Delete(absl::string_view key);
  absl::StatusOr<v1::GetResponse> Get(absl::string_view key);
  absl::StatusOr<v1::BatchWriteResponse> BatchWrite(const v1::BatchWriteRequest& request);
  absl::StatusOr<v1::MultiGetResponse> MultiGet(const std::vector<std::string>& keys);
  absl::StatusOr<v1::RootResponse> Root();

  // Reads a scan to its end: its responses, and how it ended.
  struct ScanResult {
    std::vector<v1::ScanResponse> pages;
    absl::Status status;
    std::vector<v1::ScanResponse::Item> Items() const;
  };
  ScanResult Scan(const v1::ScanRequest& request);

 private:
  static void SetDeadline(grpc::ClientContext& context, absl::Duration timeout);

  std::unique_ptr<storage::MemoryFileSystem> own_disk_;
  storage::MemoryFileSystem* disk_;
  absl::Notification failed_;
  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::KvService::Stub> kv_;
  std::unique_ptr<v1::AdminService::Stub> admin_;
  std::unique_ptr<v1::PeerService::Stub> peer_;
};

// Operations for batches and pipelined groups.
v1::Operation PutOperation(absl::string_view key, absl::string_view value);
v1::Operation GetOperation(absl::string_view key);
v1::Operation DeleteOperation(absl::string_view key);

}  // namespace slipstream::node

#endif  // SLIPSTREAM_NODE_TESTING_TEST_SERVER_H_
