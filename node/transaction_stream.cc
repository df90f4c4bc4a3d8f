#include "node/transaction_stream.h"

#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "base/error_reason.h"
#include "base/status_macros.h"
#include "base/version.h"
#include "node/call_gate.h"
#include "node/grpc_status.h"
#include "node/open_streams.h"
#include "node/open_transactions.h"
#include "node/operations.h"
#include "node/real_clock.h"
#include "node/wire_values.h"
#include "storage/engine.h"
#include "storage/entry.h"
#include "storage/precondition.h"
#include "storage/transaction.h"
#include "storage/write_stream.h"

namespace slipstream::node {
namespace {

// What became of one step.
struct Outcome {
  absl::Status status;
  storage::Lsn lsn = 0;  // It may be told when this is durable.
  bool over = false;     // Committed or rolled back.
};

// One stream. Thread-safe; destroys itself when gRPC is done with it, which is after Finish, which
// is when no step is being run, waits to be durable or is being answered.
//
// gRPC, the commit queue and this take turns: reading, running, writing. Only whoever has the turn
// touches what the lock does not guard. The client's going, a drain and the watch for silence may
// come at any time; they end the stream when the turn is over. Finish is called after the lock is
// released, as the last thing that touches the stream.
class TransactionStream final
    : public grpc::ServerBidiReactor<v1::TransactionRequest, v1::TransactionResponse>,
      public DrainableStream,
      public WatchedTransaction {
 public:
  TransactionStream(const Serving* serving, grpc::CallbackServerContext* context)
      : serving_(*serving), context_(context) {}

  void Start() {
    const absl::Status status = Enter();
    {
      absl::MutexLock lock(&mutex_);
      active_at_ = SteadyNow();
      if (!status.ok()) End(status);
    }
    serving_.streams->Add(this);
    Advance();
  }

  void OnReadDone(bool ok) override {
    {
      absl::MutexLock lock(&mutex_);
      reading_ = false;
      if (!ok) End(absl::CancelledError("the client is gone without a commit"));
      ok = running_ = !ended_;
    }
    if (!ok) return Advance();
    // What it reads, or what its commit must compare, may have to come from the disk.
    const absl::Status status = serving_.readers->Submit([this] { RunAndSettle(); });
    if (status.ok()) return;
    {
      absl::MutexLock lock(&mutex_);
      running_ = false;
      End(status);
    }
    Advance();
  }

  void OnWriteDone(bool ok) override {
    {
      absl::MutexLock lock(&mutex_);
      writing_ = false;
      active_at_ = SteadyNow();
      if (!ok) End(absl::CancelledError("the client is gone"));
    }
    Advance();
  }

  void OnCancel() override { EndNow(absl::CancelledError("the client is gone")); }
  void Drain() override { EndNow(DrainingError()); }

  void EndIfIdle(absl::Duration now, absl::Duration idle_timeout) override {
    bool writing = false;
    {
      absl::MutexLock lock(&mutex_);
      if (ended_ || running_ || now - active_at_ < idle_timeout) return;
      writing = writing_;
      End(base::WithReason(
          absl::AbortedError(absl::StrCat("the transaction was rolled back after ",
                                          absl::FormatDuration(idle_timeout), " of silence")),
          base::kReasonTransactionIdle));
    }
    // A client that does not take its answer would keep the stream from ending.
    if (writing) context_->TryCancel();
    Advance();
  }

  void OnDone() override {
    serving_.streams->Remove(this);
    serving_.transactions->Remove(this);
    delete this;
  }

 private:
  absl::Status Enter() {
    SLIP_ASSIGN_OR_RETURN(ticket_, serving_.gate->Enter());
    return serving_.transactions->Add(this);
  }

  // Runs the step that was read; its answer leaves when it may.
  void RunAndSettle() {
    Outcome outcome = Run();
    serving_.commits->RunWhenDurable(
        outcome.lsn, [this, outcome = std::move(outcome)](const absl::Status& durable) {
          {
            absl::MutexLock lock(&mutex_);
            running_ = false;
            active_at_ = SteadyNow();
            Settle(durable.ok() ? outcome.status : durable, outcome.over);
          }
          Advance();
        });
  }

  Outcome Run() {
    response_.Clear();
    Outcome outcome;
    outcome.status = RunStep(&outcome);
    v1::TransactionRequest().Swap(&request_);  // Clear would keep its memory.
    if (absl::IsAborted(outcome.status)) {
      // What a conflict tells of had been appended by now.
      outcome.lsn = serving_.replica->engine().appended_lsn();
    }
    if (outcome.status.ok() && !outcome.over) outcome.status = Hold();
    return outcome;
  }

  absl::Status RunStep(Outcome* outcome) {
    const v1::TransactionRequest::StepCase step = request_.step_case();
    if (step == v1::TransactionRequest::STEP_NOT_SET) return InvalidField("step", "is missing");
    if ((step == v1::TransactionRequest::kBegin) == transaction_.has_value()) {
      return InvalidField("step", "begin must be the first, and the first alone");
    }
    switch (step) {
      case v1::TransactionRequest::kBegin:
        transaction_.emplace(storage::Transaction::Begin(&serving_.replica->engine(), WallNow()));
        return absl::OkStatus();
      case v1::TransactionRequest::kCommit:
        outcome->over = true;
        return Commit(&outcome->lsn);
      case v1::TransactionRequest::kRollback:
        outcome->over = true;
        transaction_->Rollback();
        return absl::OkStatus();
      default:
        return RunOperation(request_.operation(), &outcome->lsn);
    }
  }

  absl::Status RunOperation(const v1::Operation& operation, storage::Lsn* lsn) {
    SLIP_RETURN_IF_ERROR(CheckKind(operation));
    if (operation.kind() == v1::OPERATION_KIND_PUT) {
      uint64_t expires_at_ms = 0;
      if (operation.has_ttl()) {
        SLIP_ASSIGN_OR_RETURN(expires_at_ms, ExpiryOf(operation.ttl(), WallNow()));
      }
      return transaction_->Put(operation.key(), operation.value(), expires_at_ms);
    }
    if (operation.kind() == v1::OPERATION_KIND_DELETE) return transaction_->Delete(operation.key());
    SLIP_ASSIGN_OR_RETURN(storage::ReadResult read, transaction_->Get(operation.key()));
    *lsn = read.lsn;
    response_.set_found(read.found);
    response_.set_value(std::move(read.value));
    response_.set_expires_at_ms(read.expires_at_ms);
    if (read.found && read.version.hlc != 0) *response_.mutable_version() = ToProto(read.version);
    return absl::OkStatus();
  }

  absl::Status Commit(storage::Lsn* lsn) {
    SLIP_ASSIGN_OR_RETURN(
        const storage::WriteResult written,
        transaction_->CommitWith([&](absl::Span<const storage::Precondition> preconditions,
                                     absl::Span<const storage::Mutation> mutations,
                                     storage::WriteStream* stream) {
          return stream == nullptr ? serving_.Transact(preconditions, mutations, lsn)
                                   : serving_.CommitStream(preconditions, *stream, lsn);
        }));
    for (const base::Version& version : written.versions) {
      *response_.add_versions() = ToProto(version);
    }
    return absl::OkStatus();
  }

  // Counts what the stream holds in memory until its next step.
  absl::Status Hold() {
    const size_t bytes = transaction_->byte_count() + response_.ByteSizeLong();
    if (bytes < held_bytes_) ticket_.RemoveBytes(held_bytes_ - bytes);
    if (bytes > held_bytes_) SLIP_RETURN_IF_ERROR(ticket_.AddBytes(bytes - held_bytes_));
    held_bytes_ = bytes;
    return absl::OkStatus();
  }

  // Takes note of what became of a step, now that it may be told.
  void Settle(const absl::Status& status, bool over) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (!status.ok()) return End(status);
    if (ended_ && !over) return;  // It ends without an answer: rolled back.
    answer_ready_ = true;
    if (!over) return;
    // What is committed stands, and is told, whatever came meanwhile.
    ended_ = true;
    status_ = absl::OkStatus();
  }

  void EndNow(const absl::Status& status) ABSL_LOCKS_EXCLUDED(mutex_) {
    {
      absl::MutexLock lock(&mutex_);
      End(status);
    }
    Advance();
  }

  // Ends the stream with `status` when the turn under way is over. The first status stays.
  void End(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (!ended_) status_ = status;
    ended_ = true;
  }

  // Starts what can be started now.
  void Advance() ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::Status status;
    {
      absl::MutexLock lock(&mutex_);
      if (answer_ready_) {
        answer_ready_ = false;
        writing_ = true;
        StartWrite(&response_);
      }
      const bool has_turn = reading_ || running_ || writing_;
      if (!ended_ && !has_turn) {
        reading_ = true;
        StartRead(&request_);
      }
      if (finished_ || !ended_ || running_ || writing_) return;
      finished_ = true;
      status = status_;
    }
    Finish(ToGrpcStatus(status, context_));
  }

  const Serving& serving_;
  grpc::CallbackServerContext* const context_;
  // Of whoever has the turn.
  CallGate::Ticket ticket_;
  v1::TransactionRequest request_;
  v1::TransactionResponse response_;
  absl::optional<storage::Transaction> transaction_;
  size_t held_bytes_ = 0;

  absl::Mutex mutex_;
  bool reading_ ABSL_GUARDED_BY(mutex_) = false;
  bool running_ ABSL_GUARDED_BY(mutex_) = false;  // A step, until it may be told.
  bool answer_ready_ ABSL_GUARDED_BY(mutex_) = false;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;  // Nothing more is read.
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
  absl::Duration active_at_ ABSL_GUARDED_BY(mutex_);  // On the steady clock.
};

}  // namespace

grpc::ServerBidiReactor<v1::TransactionRequest, v1::TransactionResponse>* StartTransaction(
    const Serving* serving, grpc::CallbackServerContext* context) {
  auto* const stream = new TransactionStream(serving, context);
  stream->Start();
  return stream;
}

}  // namespace slipstream::node
