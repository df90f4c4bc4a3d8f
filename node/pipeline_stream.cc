#include "node/pipeline_stream.h"

#include <deque>
#include <memory>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "node/call_gate.h"
#include "node/grpc_status.h"
#include "node/open_streams.h"
#include "node/operations.h"

namespace slipstream::node {
namespace {

// A request's memory is kept for the next one up to this: what many idle streams keep adds up.
constexpr size_t kKeptRequestBytesMax = 64 << 10;

// One stream. Thread-safe; destroys itself when gRPC is done with it, which is after Finish, which
// is when no group is being run or waits to be durable.
//
// Reads and writes are started under the lock: gRPC reports their end on another stack, never from
// inside the call. Finish is called after the lock is released, as the last thing that touches the
// stream: its end may come at once, on another thread.
class PipelineStream final : public grpc::ServerBidiReactor<v1::PipelineRequest,  //
                                                            v1::PipelineResponse>,
                             public DrainableStream {
 public:
  PipelineStream(const Serving* serving, grpc::CallbackServerContext* context)
      : serving_(*serving), context_(context) {}

  void Start() {
    absl::StatusOr<CallGate::Ticket> ticket = serving_.gate->Enter();
    {
      absl::MutexLock lock(&mutex_);
      if (ticket.ok()) {
        ticket_ = *std::move(ticket);
      } else {
        EndInput(ticket.status());
      }
    }
    serving_.streams->Add(this);
    Advance();
  }

  void OnReadDone(bool ok) override {
    {
      absl::MutexLock lock(&mutex_);
      reading_ = false;
      if (!ok) EndInput(absl::OkStatus());
      running_ = ok && !finished_;  // A drain may have come in between.
      if (running_) {
        const absl::Status status =
            CheckBatch(request_.operations(), serving_.replica->options().storage.limits);
        if (!status.ok()) {
          EndInput(status);
          ForgetRequest();
        }
        running_ = status.ok();
      }
      ok = running_;
    }
    if (!ok) return Advance();
    // Not under the lock, so that answers to earlier groups leave meanwhile. `running_` keeps the
    // next group from being read before this one is written, and the stream from ending.
    AddGroup(RunGroup(serving_, request_));
  }

  void OnWriteDone(bool ok) override {
    {
      absl::MutexLock lock(&mutex_);
      writing_ = false;
      if (ok) {
        ticket_.RemoveBytes(groups_.front()->bytes);
        bytes_ -= groups_.front()->bytes;
        groups_.pop_front();
      } else {
        Break(absl::CancelledError("the client is gone"));
      }
    }
    Advance();
  }

  void OnCancel() override {
    {
      absl::MutexLock lock(&mutex_);
      Break(absl::CancelledError("the client is gone"));
    }
    Advance();
  }

  void Drain() override {
    {
      absl::MutexLock lock(&mutex_);
      EndInput(DrainingError());
    }
    Advance();
  }

  void OnDone() override {
    serving_.streams->Remove(this);
    delete this;
  }

 private:
  struct Group {
    v1::PipelineResponse response;
    size_t bytes = 0;
    bool durable = false;
  };

  void AddGroup(GroupOutcome outcome) {
    auto group = std::make_unique<Group>();
    Group* const added = group.get();
    group->response = std::move(outcome.response);
    group->bytes = group->response.ByteSizeLong();
    ForgetRequest();
    {
      absl::MutexLock lock(&mutex_);
      running_ = false;
      // What was written stands: the answer is sent, but nothing more is read.
      if (const absl::Status status = ticket_.AddBytes(group->bytes); !status.ok()) {
        group->bytes = 0;
        EndInput(status);
      }
      bytes_ += group->bytes;
      groups_.push_back(std::move(group));
      ++undurable_count_;
    }
    // Counted above, so that the stream is there until this has run.
    serving_.commits->RunWhenDurable(outcome.lsn, [this, added](const absl::Status& durable) {
      {
        absl::MutexLock lock(&mutex_);
        --undurable_count_;
        added->durable = true;
        if (!durable.ok()) Break(durable);
      }
      Advance();
    });
  }

  // Gives back what the request that was just run or refused held. Nothing is being read.
  void ForgetRequest() {
    if (request_.SpaceUsedLong() > kKeptRequestBytesMax) v1::PipelineRequest().Swap(&request_);
  }

  // Reads no more; the stream ends with `status` when all is answered. The first status stays.
  void EndInput(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    input_ended_ = true;
    if (status_.ok()) status_ = status;
  }

  // Answers no more either.
  void Break(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    EndInput(status);
    broken_ = true;
  }

  // Starts what can be started now.
  void Advance() ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::Status status;
    {
      absl::MutexLock lock(&mutex_);
      if (!writing_ && !broken_ && !groups_.empty() && groups_.front()->durable) {
        writing_ = true;
        StartWrite(&groups_.front()->response);
      }
      if (!reading_ && !running_ && !input_ended_ && groups_.size() < kPipelineGroupsMax &&
          bytes_ < kPipelineBytesMax) {
        reading_ = true;
        StartRead(&request_);
      }
      const bool answered = broken_ ? undurable_count_ == 0 : groups_.empty();
      if (finished_ || !input_ended_ || running_ || writing_ || !answered) return;
      finished_ = true;
      status = status_;
    }
    Finish(ToGrpcStatus(status, context_));
  }

  const Serving& serving_;
  grpc::CallbackServerContext* const context_;
  v1::PipelineRequest request_;  // Being read or run.

  absl::Mutex mutex_;
  CallGate::Ticket ticket_ ABSL_GUARDED_BY(mutex_);
  std::deque<std::unique_ptr<Group>> groups_ ABSL_GUARDED_BY(mutex_);  // Not answered, in order.
  size_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;                           // Theirs.
  size_t undurable_count_ ABSL_GUARDED_BY(mutex_) = 0;                 // Of them.
  bool reading_ ABSL_GUARDED_BY(mutex_) = false;
  bool running_ ABSL_GUARDED_BY(mutex_) = false;  // A group, between its read and its place.
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool input_ended_ ABSL_GUARDED_BY(mutex_) = false;
  bool broken_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

grpc::ServerBidiReactor<v1::PipelineRequest, v1::PipelineResponse>* StartPipeline(
    const Serving* serving, grpc::CallbackServerContext* context) {
  auto* const stream = new PipelineStream(serving, context);
  stream->Start();
  return stream;
}

}  // namespace slipstream::node
