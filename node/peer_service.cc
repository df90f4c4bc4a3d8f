#include "node/peer_service.h"

#include <cstddef>
#include <memory>
#include <utility>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "node/peer_messages.h"
#include "node/unary_call.h"
#include "node/wire.h"
#include "slipstream/v1/peer.grpc.pb.h"
#include "slipstream/v1/peer.pb.h"

namespace slipstream::node {
namespace {

// Thread-safe.
class PeerService final : public v1::PeerService::CallbackService {
 public:
  explicit PeerService(const Serving* serving) : serving_(*serving) {}

  grpc::ServerUnaryReactor* ExchangeRoots(grpc::CallbackServerContext* context,
                                          const v1::ExchangeRootsRequest* request,
                                          v1::ExchangeRootsResponse* response) override {
    return Answer<ExchangeRootsResponse>(context, request, response);
  }

  grpc::ServerUnaryReactor* Reconcile(grpc::CallbackServerContext* context,
                                      const v1::ReconcileRequest* request,
                                      v1::ReconcileResponse* response) override {
    return Answer<merkle::ReconcileResponse>(context, request, response);
  }

  grpc::ServerUnaryReactor* FetchRecords(grpc::CallbackServerContext* context,
                                         const v1::FetchRecordsRequest* request,
                                         v1::FetchRecordsResponse* response) override {
    return Answer<FetchRecordsResponse>(context, request, response);
  }

  grpc::ServerUnaryReactor* PushRecords(grpc::CallbackServerContext* context,
                                        const v1::PushRecordsRequest* request,
                                        v1::PushRecordsResponse* response) override {
    return Answer<PushRecordsResponse>(context, request, response);
  }

 private:
  // `Response` is the struct of which `response` is the message.
  template <typename Response, typename RequestMessage, typename ResponseMessage>
  grpc::ServerUnaryReactor* Answer(grpc::CallbackServerContext* context,
                                   const RequestMessage* message, ResponseMessage* response) {
    const size_t message_bytes = message->ByteSizeLong();
    return StartSlowCall(
        serving_, context, message->SpaceUsedLong(),
        [this, message, message_bytes, response](UnaryCall* call) {
          auto request = FromProto(*message);
          if (!request.ok()) return call->FinishWith(request.status());
          storage::Lsn lsn = 0;
          absl::StatusOr<PeerResponse> answer =
              serving_.Answer(PeerRequest(*std::move(request)), message_bytes, &lsn);
          if (!answer.ok()) return call->FinishWith(answer.status());
          *response = ToProto(std::get<Response>(*std::move(answer)));
          if (const absl::Status status = call->AddBytes(response->ByteSizeLong()); !status.ok()) {
            return call->FinishWith(status);
          }
          call->FinishWhenDurable(lsn);
        });
  }

  const Serving& serving_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakePeerService(const Serving* serving) {
  return std::make_unique<PeerService>(serving);
}

}  // namespace slipstream::node
