#include "node/testing/test_server.h"

#include "absl/time/clock.h"
#include "base/check.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "grpcpp/support/channel_arguments.h"

namespace slipstream::node {

void SetTestDeadline(grpc::ClientContext& context) {
  context.set_deadline(absl::ToChronoTime(absl::Now() + kTestTimeout));
}

ServerOptions TestServer::DefaultOptions() {
  ServerOptions options;
  options.listen.port = 0;
  options.data_directory = "/data";
  options.replica.name = "n1";
  options.replica.gossip_interval = absl::Milliseconds(20);
  options.replica.storage.segment_bytes = 8 << 20;
  return options;
}

TestServer::TestServer(const ServerOptions& options, storage::MemoryFileSystem* disk, uint64_t seed)
    : disk_(disk) {
  if (disk_ == nullptr) {
    own_disk_ = std::make_unique<storage::MemoryFileSystem>();
    disk_ = own_disk_.get();
  }
  SetUpGrpc();
  absl::StatusOr<std::unique_ptr<Server>> server =
      Server::Start(disk_, options, seed, [this](const absl::Status&) { failed_.Notify(); });
  SLIP_CHECK_OK(server.status());
  server_ = *std::move(server);
  grpc::ChannelArguments arguments;
  // Each server has a connection of its own, whatever other tests in the process connect to.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetMaxReceiveMessageSize(-1);
  channel_ = grpc::CreateCustomChannel(address(), grpc::InsecureChannelCredentials(), arguments);
  kv_ = v1::KvService::NewStub(channel_);
  admin_ = v1::AdminService::NewStub(channel_);
  peer_ = v1::PeerService::NewStub(channel_);
}

absl::StatusOr<v1::Version> TestServer::Put(absl::string_view key, absl::string_view value) {
  v1::PutRequest request;
  request.set_key(std::string(key));
  request.set_value(std::string(value));
  absl::StatusOr<v1::PutResponse> response = Call(kv(), &v1::KvService::Stub::Put, request);
  if (!response.ok()) return response.status();
  return response->version();
}

absl::StatusOr<v1::Version> TestServer::Delete(absl::string_view key) {
  v1::DeleteRequest request;
  request.set_key(std::string(key));
  absl::StatusOr<v1::DeleteResponse> response = Call(kv(), &v1::KvService::Stub::Delete, request);
  if (!response.ok()) return response.status();
  return response->version();
}

absl::StatusOr<v1::GetResponse> TestServer::Get(absl::string_view key) {
  v1::GetRequest request;
  request.set_key(std::string(key));
  return Call(kv(), &v1::KvService::Stub::Get, request);
}

absl::StatusOr<v1::BatchWriteResponse> TestServer::BatchWrite(
    const v1::BatchWriteRequest& request) {
  return Call(kv(), &v1::KvService::Stub::BatchWrite, request);
}

absl::StatusOr<v1::MultiGetResponse> TestServer::MultiGet(const std::vector<std::string>& keys) {
  v1::MultiGetRequest request;
  for (const std::string& key : keys) request.add_keys(key);
  return Call(kv(), &v1::KvService::Stub::MultiGet, request);
}

absl::StatusOr<v1::RootResponse> TestServer::Root() {
  return Call(admin(), &v1::AdminService::Stub::Root, v1::RootRequest());
}

std::vector<v1::ScanResponse::Item> TestServer::ScanResult::Items() const {
  std::vector<v1::ScanResponse::Item> items;
  for (const v1::ScanResponse& page : pages) {
    items.insert(items.end(), page.items().begin(), page.items().end());
  }
  return items;
}

TestServer::ScanResult TestServer::Scan(const v1::ScanRequest& request) {
  grpc::ClientContext context;
  SetTestDeadline(context);
  ScanResult result;
  const auto reader = kv().Scan(&context, request);
  v1::ScanResponse page;
  while (reader->Read(&page)) result.pages.push_back(page);
  result.status = FromGrpcStatus(reader->Finish(), context);
  return result;
}

void TestServer::SetDeadline(grpc::ClientContext& context, absl::Duration timeout) {
  context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
}

v1::Operation PutOperation(absl::string_view key, absl::string_view value) {
  v1::Operation operation;
  operation.set_kind(v1::OPERATION_KIND_PUT);
  operation.set_key(std::string(key));
  operation.set_value(std::string(value));
  return operation;
}

v1::Operation GetOperation(absl::string_view key) {
  v1::Operation operation;
  operation.set_kind(v1::OPERATION_KIND_GET);
  operation.set_key(std::string(key));
  return operation;
}

v1::Operation DeleteOperation(absl::string_view key) {
  v1::Operation operation;
  operation.set_kind(v1::OPERATION_KIND_DELETE);
  operation.set_key(std::string(key));
  return operation;
}

}  // namespace slipstream::node
