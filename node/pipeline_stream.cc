#include "node/pipeline_stream.h"

#include <deque>
#include <memory>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "google/protobuf/arena.h"
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

  // One group is read while another is run, by two threads. It is run by whoever ran that one, so
  // that groups stay in order.
  void OnReadDone(bool ok) override {
    {
      absl::MutexLock lock(&mutex_);
      reading_ = false;
      if (!ok) EndInput(absl::OkStatus());
      has_next_ = ok;
      if (has_next_) {
        const absl::Status status =
            CheckBatch(next_request_.operations(), serving_.replica->options().storage.limits);
        if (!status.ok()) EndInput(status);
      }
      ok = !running_ && TakeNext();
    }
    Advance();
    if (ok) RunGroups();
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
    Group(const Serving* serving, const v1::PipelineRequest* request)
        : run(serving, request, &response) {}

    google::protobuf::Arena arena;  // Hundreds of small objects, which leave together.
    v1::PipelineResponse& response =
        *google::protobuf::Arena::CreateMessage<v1::PipelineResponse>(&arena);
    GroupRun run;
    size_t bytes = 0;
    bool durable = false;
  };

  // Makes the group that was read, if there is one and it shall be run, the one being run; returns
  // whether it did. A stream that will end with an error begins nothing more.
  bool TakeNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (!has_next_) return false;
    has_next_ = false;
    running_ = status_.ok();
    if (running_) {
      request_.Swap(&next_request_);
    } else {
      Forget(next_request_);
    }
    return running_;
  }

  // Runs the group in `request_` and those that follow, not under the lock, so that answers to
  // earlier groups leave meanwhile: `running_` keeps the stream from ending. What waits for the
  // disk goes on on another thread.
  void RunGroups() {
    bool has_more = true;
    while (has_more) {
      auto group = std::make_unique<Group>(&serving_, &request_);
      if (!group->run.Run(GroupRun::Reads::kInMemory)) return ReadFromDisk(std::move(group));
      has_more = Place(std::move(group));
    }
  }

  void ReadFromDisk(std::unique_ptr<Group> group) {
    const absl::Status status =
        serving_.readers->Submit([this, group = std::move(group)]() mutable {
          group->run.Run(GroupRun::Reads::kAlsoFromDisk);
          // In turn with those who wait for a reader.
          if (Place(std::move(group)) && !serving_.readers->Submit([this] { RunGroups(); }).ok()) {
            RunGroups();
          }
        });
    if (status.ok()) return;
    {
      absl::MutexLock lock(&mutex_);
      running_ = false;
      EndInput(status);
    }
    Advance();
  }

  // Puts a group that was run at the end of those to be answered; returns whether there is another
  // one in `request_` now.
  bool Place(std::unique_ptr<Group> group) {
    Group* const added = group.get();
    const storage::Lsn lsn = group->run.lsn();
    group->bytes = group->response.ByteSizeLong();
    Forget(request_);
    bool has_more = false;
    {
      absl::MutexLock lock(&mutex_);
      // What was written stands: the answer is sent, but nothing more is run.
      if (const absl::Status status = ticket_.AddBytes(group->bytes); !status.ok()) {
        group->bytes = 0;
        EndInput(status);
      }
      bytes_ += group->bytes;
      groups_.push_back(std::move(group));
      ++undurable_count_;
      running_ = false;
      has_more = TakeNext();
    }
    // Counted above, so that the stream is there until this has run.
    serving_.commits->RunWhenDurable(lsn, [this, added](const absl::Status& durable) {
      {
        absl::MutexLock lock(&mutex_);
        --undurable_count_;
        added->durable = true;
        if (!durable.ok()) Break(durable);
      }
      Advance();
    });
    if (has_more) Advance();  // Reads on.
    return has_more;
  }

  // Gives back what a request holds that is done with, if that is much.
  static void Forget(v1::PipelineRequest& request) {
    // Not ByteSizeLong: what was cleared is kept as well.
    if (request.SpaceUsedLong() > kKeptRequestBytesMax) v1::PipelineRequest().Swap(&request);
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
      if (!reading_ && !has_next_ && !input_ended_ && groups_.size() < kPipelineGroupsMax &&
          bytes_ < kPipelineBytesMax) {
        reading_ = true;
        StartRead(&next_request_);
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
  v1::PipelineRequest request_;       // Of the thread that runs it.
  v1::PipelineRequest next_request_;  // Of gRPC while it is being read; else under the lock.

  absl::Mutex mutex_;
  CallGate::Ticket ticket_ ABSL_GUARDED_BY(mutex_);
  std::deque<std::unique_ptr<Group>> groups_ ABSL_GUARDED_BY(mutex_);  // Not answered, in order.
  size_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;                           // Theirs.
  size_t undurable_count_ ABSL_GUARDED_BY(mutex_) = 0;                 // Of them.
  bool reading_ ABSL_GUARDED_BY(mutex_) = false;
  bool has_next_ ABSL_GUARDED_BY(mutex_) = false;  // A group was read, and waits to be run.
  bool running_ ABSL_GUARDED_BY(mutex_) = false;   // A group, until it has its place.
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
