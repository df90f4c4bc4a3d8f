#include "node/kv_service.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"
#include "base/error_reason.h"
#include "base/status_macros.h"
#include "node/operations.h"
#include "node/pipeline_stream.h"
#include "node/real_clock.h"
#include "node/scan_stream.h"
#include "node/transaction_stream.h"
#include "node/unary_call.h"
#include "node/wire_values.h"
#include "slipstream/v1/kv.grpc.pb.h"
#include "slipstream/v1/kv.pb.h"
#include "storage/engine.h"
#include "storage/entry.h"
#include "storage/precondition.h"

namespace slipstream::node {
namespace {

absl::Status KeyNotFound() {
  return base::WithReason(absl::NotFoundError("the key is absent or deleted"),
                          base::kReasonKeyNotFound);
}

// Thread-safe.
class KvService final : public v1::KvService::CallbackService {
 public:
  explicit KvService(const Serving* serving) : serving_(*serving) {}

  grpc::ServerUnaryReactor* Get(grpc::CallbackServerContext* context, const v1::GetRequest* request,
                                v1::GetResponse* response) override {
    return StartCall(serving_, context, 0, [this, request, response](UnaryCall* call) {
      absl::optional<storage::ReadResult> known =
          serving_.replica->GetInMemory(request->key(), WallNow());
      if (known.has_value()) return AnswerGet(*std::move(known), call, response);
      Continue(*serving_.readers, call, [this, request, response](UnaryCall* waiting) {
        absl::StatusOr<storage::ReadResult> read = serving_.replica->Get(request->key(), WallNow());
        if (!read.ok()) return waiting->FinishWith(read.status());
        AnswerGet(*std::move(read), waiting, response);
      });
    });
  }

  grpc::ServerUnaryReactor* Put(grpc::CallbackServerContext* context, const v1::PutRequest* request,
                                v1::PutResponse* response) override {
    storage::Mutation mutation{
        .kind = storage::Mutation::Kind::kPut, .key = request->key(), .value = request->value()};
    if (!request->has_ttl()) return WriteOne(context, mutation, response);
    const absl::StatusOr<uint64_t> expiry = ExpiryOf(request->ttl(), WallNow());
    if (!expiry.ok()) return WriteOne(context, expiry.status(), response);
    mutation.expires_at_ms = *expiry;
    return WriteOne(context, mutation, response);
  }

  grpc::ServerUnaryReactor* Delete(grpc::CallbackServerContext* context,
                                   const v1::DeleteRequest* request,
                                   v1::DeleteResponse* response) override {
    const storage::Mutation mutation{
        .kind = storage::Mutation::Kind::kDelete, .key = request->key(), .value = {}};
    return WriteOne(context, mutation, response);
  }

  grpc::ServerUnaryReactor* BatchWrite(grpc::CallbackServerContext* context,
                                       const v1::BatchWriteRequest* request,
                                       v1::BatchWriteResponse* response) override {
    return StartCall(serving_, context, request->SpaceUsedLong(),
                     [this, request, response](UnaryCall* call) {
                       const absl::StatusOr<std::vector<storage::Mutation>> mutations =
                           MutationsOf(request->operations(), WallNow());
                       if (!mutations.ok()) return call->FinishWith(mutations.status());
                       const absl::StatusOr<storage::WriteResult> written =
                           serving_.Write(*mutations, storage::Atomicity::kAll);
                       if (!written.ok()) return call->FinishWith(written.status());
                       for (const base::Version& version : written->versions) {
                         *response->add_versions() = ToProto(version);
                       }
                       call->FinishWhenDurable(written->lsn);
                     });
  }

  grpc::ServerUnaryReactor* Transact(grpc::CallbackServerContext* context,
                                     const v1::TransactRequest* request,
                                     v1::TransactResponse* response) override {
    // Its preconditions may have to be read.
    return StartReadingCall(serving_, context, request->SpaceUsedLong(),
                            [this, request, response](UnaryCall* call) {
                              storage::Lsn lsn = 0;
                              const absl::Status status = WriteIf(*request, response, &lsn);
                              call->FinishWhenDurable(lsn, status);
                            });
  }

  grpc::ServerUnaryReactor* MultiGet(grpc::CallbackServerContext* context,
                                     const v1::MultiGetRequest* request,
                                     v1::MultiGetResponse* response) override {
    return StartReadingCall(serving_, context, request->SpaceUsedLong(),
                            [this, request, response](UnaryCall* call) {
                              storage::Lsn lsn = 0;
                              const absl::Status status = ReadAll(*request, call, response, &lsn);
                              if (!status.ok()) return call->FinishWith(status);
                              call->FinishWhenDurable(lsn);
                            });
  }

  grpc::ServerWriteReactor<v1::ScanResponse>* Scan(grpc::CallbackServerContext* context,
                                                   const v1::ScanRequest* request) override {
    return StartScan(&serving_, context, *request);
  }

  grpc::ServerBidiReactor<v1::TransactionRequest, v1::TransactionResponse>* Transaction(
      grpc::CallbackServerContext* context) override {
    return StartTransaction(&serving_, context);
  }

  grpc::ServerBidiReactor<v1::PipelineRequest, v1::PipelineResponse>* Pipeline(
      grpc::CallbackServerContext* context) override {
    return StartPipeline(&serving_, context);
  }

 private:
  static void AnswerGet(storage::ReadResult read, UnaryCall* call, v1::GetResponse* response) {
    if (!read.found) return call->FinishWhenDurable(read.lsn, KeyNotFound());
    const absl::Status status = call->AddBytes(read.value.size());
    if (!status.ok()) return call->FinishWith(status);
    response->set_value(std::move(read.value));
    *response->mutable_version() = ToProto(read.version);
    response->set_expires_at_ms(read.expires_at_ms);
    call->FinishWhenDurable(read.lsn);
  }

  template <typename Response>
  grpc::ServerUnaryReactor* WriteOne(grpc::CallbackServerContext* context,
                                     const absl::StatusOr<storage::Mutation>& mutation,
                                     Response* response) {
    const size_t bytes = mutation.ok() ? mutation->key.size() + mutation->value.size() : 0;
    return StartCall(serving_, context, bytes, [this, &mutation, response](UnaryCall* call) {
      if (!mutation.ok()) return call->FinishWith(mutation.status());
      const absl::StatusOr<storage::WriteResult> written =
          serving_.Write({&*mutation, 1}, storage::Atomicity::kEach);
      if (!written.ok()) return call->FinishWith(written.status());
      *response->mutable_version() = ToProto(written->versions[0]);
      call->FinishWhenDurable(written->lsn);
    });
  }

  absl::Status WriteIf(const v1::TransactRequest& request, v1::TransactResponse* response,
                       storage::Lsn* lsn) const {
    // The engine would take more: what a transaction's stream gathers.
    SLIP_RETURN_IF_ERROR(
        CheckBatch(request.operations(), serving_.replica->options().storage.limits));
    SLIP_ASSIGN_OR_RETURN(const std::vector<storage::Precondition> preconditions,
                          PreconditionsOf(request.preconditions()));
    SLIP_ASSIGN_OR_RETURN(const std::vector<storage::Mutation> mutations,
                          MutationsOf(request.operations(), WallNow()));
    SLIP_ASSIGN_OR_RETURN(const storage::WriteResult written,
                          serving_.Transact(preconditions, mutations, lsn));
    for (const base::Version& version : written.versions) {
      *response->add_versions() = ToProto(version);
    }
    return absl::OkStatus();
  }

  // Answers as many keys, from the front, as an answer holds.
  absl::Status ReadAll(const v1::MultiGetRequest& request, UnaryCall* call,
                       v1::MultiGetResponse* response, storage::Lsn* lsn) const {
    const size_t keys_max = serving_.replica->options().storage.limits.batch_operations_max;
    if (static_cast<size_t>(request.keys_size()) > keys_max) {
      return base::WithReason(absl::InvalidArgumentError(absl::StrCat(
                                  request.keys_size(), " keys, of at most ", keys_max)),
                              base::kReasonBatchSize);
    }
    const std::vector<absl::string_view> keys(request.keys().begin(), request.keys().end());
    size_t bytes = 0;
    for (absl::StatusOr<storage::ReadResult>& read :
         serving_.replica->GetMany(keys, WallNow(), kAnswerBytesMax)) {
      if (!read.ok()) return read.status();
      if (bytes > 0 && bytes + read->value.size() > kAnswerBytesMax) break;
      bytes += read->value.size();
      *lsn = std::max(*lsn, read->lsn);
      v1::MultiGetResponse::Item& item = *response->add_items();
      item.set_found(read->found);
      if (!read->found) continue;
      item.set_value(std::move(read->value));
      *item.mutable_version() = ToProto(read->version);
      item.set_expires_at_ms(read->expires_at_ms);
    }
    return call->AddBytes(bytes);
  }

  const Serving& serving_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeKvService(const Serving* serving) {
  return std::make_unique<KvService>(serving);
}

}  // namespace slipstream::node
