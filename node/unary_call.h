// UnaryCall: a call with one answer, on gRPC's callback API, from its ticket to its end.
#ifndef SLIPSTREAM_NODE_UNARY_CALL_H_
#define SLIPSTREAM_NODE_UNARY_CALL_H_

#include <cstddef>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/server_callback.h"
#include "node/call_gate.h"
#include "node/commit_queue.h"
#include "node/grpc_status.h"
#include "node/serving.h"

namespace slipstream::node {

// Destroys itself when gRPC is done with it. Thread-compatible.
class UnaryCall final : public grpc::ServerUnaryReactor {
 public:
  UnaryCall(const Serving* serving, grpc::CallbackServerContext* context, CallGate::Ticket ticket)
      : serving_(serving), context_(context), ticket_(std::move(ticket)) {}

  // Counts `bytes` that the call holds until its end: see CallGate.
  absl::Status AddBytes(size_t bytes) { return ticket_.AddBytes(bytes); }

  // Ends the call; it must not be touched afterwards.
  void FinishWith(const absl::Status& status) { Finish(ToGrpcStatus(status, context_)); }

  // Ends the call with `status` when what it speaks of is durable, or with why it will not be.
  void FinishWhenDurable(storage::Lsn lsn, absl::Status status = absl::OkStatus()) {
    serving_->commits->RunWhenDurable(
        lsn, [this, status = std::move(status)](const absl::Status& durable) {
          FinishWith(durable.ok() ? status : durable);
        });
  }

  void OnDone() override { delete this; }
  // Else gRPC hands OnDone to another thread, for each call (an eighth of a unary get's cost). Its
  // default reactor does the same; OnDone here takes no lock, unless the node drains.
  bool InternalInlineable() override { return true; }

 private:
  const Serving* const serving_;
  grpc::CallbackServerContext* const context_;
  CallGate::Ticket ticket_;
};

// Starts a call that holds `request_bytes` of memory: `handle(call)` works on it and sees to it
// that it ends, unless the gate refuses it.
template <typename Handle>
grpc::ServerUnaryReactor* StartCall(const Serving& serving, grpc::CallbackServerContext* context,
                                    size_t request_bytes, Handle handle) {
  absl::StatusOr<CallGate::Ticket> ticket = serving.gate->Enter();
  absl::Status status = ticket.status();
  if (status.ok()) status = ticket->AddBytes(request_bytes);
  if (!status.ok()) {
    grpc::ServerUnaryReactor* const refusal = context->DefaultReactor();
    refusal->Finish(ToGrpcStatus(status, context));
    return refusal;
  }
  auto* const call = new UnaryCall(&serving, context, *std::move(ticket));
  handle(call);
  return call;
}

// Runs `handle(call)` on a thread of `pool`, or ends the call.
template <typename Handle>
void Continue(WorkerPool& pool, UnaryCall* call, Handle handle) {
  const absl::Status status =
      pool.Submit([call, handle = std::move(handle)]() mutable { handle(call); });
  if (!status.ok()) call->FinishWith(status);
}

// StartCall for what waits for the disk: `handle(call)` runs on a reader.
template <typename Handle>
grpc::ServerUnaryReactor* StartReadingCall(const Serving& serving,
                                           grpc::CallbackServerContext* context,
                                           size_t request_bytes, Handle handle) {
  return StartCall(serving, context, request_bytes, [&serving, &handle](UnaryCall* call) {
    Continue(*serving.readers, call, std::move(handle));
  });
}

// StartCall for what takes longer: `handle(call)` runs on a thread of the worker pool.
template <typename Handle>
grpc::ServerUnaryReactor* StartSlowCall(const Serving& serving,
                                        grpc::CallbackServerContext* context, size_t request_bytes,
                                        Handle handle) {
  return StartCall(serving, context, request_bytes, [&serving, &handle](UnaryCall* call) {
    Continue(*serving.workers, call, std::move(handle));
  });
}

}  // namespace slipstream::node

#endif  // SLIPSTREAM_NODE_UNARY_CALL_H_
