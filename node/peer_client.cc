#include "node/peer_client.h"

#include <cstddef>
#include <memory>
#include <utility>
#include <variant>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "grpcpp/support/channel_arguments.h"
#include "node/grpc_status.h"
#include "node/real_clock.h"
#include "node/wire.h"
#include "slipstream/v1/peer.grpc.pb.h"
#include "slipstream/v1/peer.pb.h"

namespace slipstream::node {
namespace {

constexpr absl::Duration kBackoffMin = absl::Milliseconds(100);
constexpr absl::Duration kBackoffMax = absl::Seconds(1);
constexpr absl::Duration kKeepaliveTime = absl::Seconds(10);
constexpr absl::Duration kKeepaliveTimeout = absl::Seconds(5);

int Milliseconds(absl::Duration duration) {
  return static_cast<int>(absl::ToInt64Milliseconds(duration));
}

grpc::ChannelArguments PeerChannelArguments() {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, Milliseconds(kBackoffMin));
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, Milliseconds(kBackoffMax));
  // How long one attempt to connect may take, its name notwithstanding.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, Milliseconds(kBackoffMax));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, Milliseconds(kKeepaliveTime));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, Milliseconds(kKeepaliveTimeout));
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  // Nodes reach each other directly, whatever the environment says about proxies.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);  // The protocol has retries of its own.
  arguments.SetMaxReceiveMessageSize(kPeerMessageBytesMax);
  return arguments;
}

// The four methods by their request.
template <typename Request>
struct Method;

template <>
struct Method<v1::ExchangeRootsRequest> {
  using Response = v1::ExchangeRootsResponse;
  static void Start(auto* stub, auto... arguments) { stub->ExchangeRoots(std::move(arguments)...); }
};

template <>
struct Method<v1::ReconcileRequest> {
  using Response = v1::ReconcileResponse;
  static void Start(auto* stub, auto... arguments) { stub->Reconcile(std::move(arguments)...); }
};

template <>
struct Method<v1::FetchRecordsRequest> {
  using Response = v1::FetchRecordsResponse;
  static void Start(auto* stub, auto... arguments) { stub->FetchRecords(std::move(arguments)...); }
};

template <>
struct Method<v1::PushRecordsRequest> {
  using Response = v1::PushRecordsResponse;
  static void Start(auto* stub, auto... arguments) { stub->PushRecords(std::move(arguments)...); }
};

}  // namespace

struct PeerClient::Peer {
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<v1::PeerService::Stub> stub;
};

class PeerClient::PendingCall {
 public:
  virtual ~PendingCall() = default;
  virtual void Send(v1::PeerService::Stub* stub) = 0;
  void Cancel() { context_.TryCancel(); }

 protected:
  PendingCall(PeerClient* client, absl::Duration timeout, Reply reply)
      : client_(client), reply_(std::move(reply)) {
    context_.set_deadline(absl::ToChronoTime(WallNow() + timeout));
  }

  // Hands over the response and destroys the call.
  void End(absl::StatusOr<PeerResponse> response, const WireBytes& bytes) {
    reply_(std::move(response), bytes);
    client_->Remove(this);
    delete this;
  }

  PeerClient* const client_;
  grpc::ClientContext context_;
  Reply reply_;
};

namespace {

// A call of the method that takes `Request`.
template <typename Request>
class MethodCall final : public PeerClient::PendingCall {
 public:
  MethodCall(PeerClient* client, Request request, absl::Duration timeout,
             PeerTransport::Reply reply)
      : PendingCall(client, timeout, std::move(reply)), request_(std::move(request)) {}

  void Send(v1::PeerService::Stub* stub) override {
    Method<Request>::Start(stub->async(), &context_, &request_, &response_,
                           [this](const grpc::Status& status) { TakeAnswer(status); });
  }

 private:
  void TakeAnswer(const grpc::Status& status) {
    if (!status.ok()) {
      return End(FromGrpcStatus(status, context_), {.request = request_.ByteSizeLong()});
    }
    const WireBytes bytes{.request = request_.ByteSizeLong(), .response = response_.ByteSizeLong()};
    auto response = FromProto(std::move(response_));
    if (!response.ok()) return End(response.status(), bytes);
    End(PeerResponse(*std::move(response)), bytes);
  }

  const Request request_;
  typename Method<Request>::Response response_;
};

}  // namespace

PeerClient::PeerClient(const std::vector<std::string>& endpoints) {
  for (const std::string& endpoint : endpoints) {
    auto peer = std::make_unique<Peer>();
    peer->channel = grpc::CreateCustomChannel(endpoint, grpc::InsecureChannelCredentials(),
                                              PeerChannelArguments());
    peer->stub = v1::PeerService::NewStub(peer->channel);
    peers_.push_back(std::move(peer));
  }
}

PeerClient::~PeerClient() { Stop(); }

void PeerClient::Call(PeerIndex peer, PeerRequest request, absl::Duration timeout, Reply reply) {
  SLIP_CHECK(peer < peers_.size());
  PendingCall* const call = std::visit(
      [&](auto& value) -> PendingCall* {
        auto message = ToProto(std::move(value));
        return new MethodCall<decltype(message)>(this, std::move(message), timeout,
                                                 std::move(reply));
      },
      request);
  {
    absl::MutexLock lock(&mutex_);
    calls_.insert(call);
    // It is sent even so: to be cancelled is the shortest way to its reply.
    if (stopping_) call->Cancel();
  }
  call->Send(peers_[peer]->stub.get());
}

void PeerClient::Stop() {
  absl::MutexLock lock(&mutex_);
  stopping_ = true;
  for (PendingCall* call : calls_) call->Cancel();
  mutex_.Await(absl::Condition(this, &PeerClient::IsIdle));
}

void PeerClient::Remove(PendingCall* call) {
  absl::MutexLock lock(&mutex_);
  calls_.erase(call);
}

}  // namespace slipstream::node
