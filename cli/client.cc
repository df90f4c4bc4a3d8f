#include "cli/client.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/error_reason.h"
#include "cli/connection_error.h"
#include "cli/duration.h"
#include "cli/text.h"
#include "slipstream/v1/admin.grpc.pb.h"
#include "slipstream/v1/kv.grpc.pb.h"

namespace slipstream::cli {
namespace {

// Above the greatest value, 8 MiB, with its key.
constexpr int kMessageBytesMax = 16 << 20;
constexpr int kGroupsInFlightMax = 4;
constexpr absl::string_view kReasonMetadata = "slipstream-reason";

using Deadline = std::chrono::system_clock::time_point;

Deadline DeadlineAfter(absl::Duration timeout) { return absl::ToChronoTime(absl::Now() + timeout); }

std::shared_ptr<grpc::Channel> MakeChannel(const std::string& endpoint) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMessageBytesMax);
  // A proxy for the web that the environment names is no way to a database.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return grpc::CreateCustomChannel("dns:///" + endpoint, grpc::InsecureChannelCredentials(),
                                   arguments);
}

// Returns why a channel that has failed has done so; empty if it has recovered. gRPC tells only
// calls, so one is made.
std::string CauseOfFailure(const std::shared_ptr<grpc::Channel>& channel, absl::Time deadline) {
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(deadline));
  v1::StatusResponse response;
  const grpc::Status status =
      v1::AdminService::NewStub(channel)->Status(&context, v1::StatusRequest(), &response);
  return status.ok() ? "" : ExplainConnectionFailure(status.error_message());
}

// Waits until `channel` is ready. Returns why it is not, in words; empty if it is.
std::string AwaitConnection(const std::shared_ptr<grpc::Channel>& channel, absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  grpc_connectivity_state state = channel->GetState(/*try_to_connect=*/true);
  while (state != GRPC_CHANNEL_READY) {
    if (state == GRPC_CHANNEL_TRANSIENT_FAILURE) return CauseOfFailure(channel, deadline);
    if (!channel->WaitForStateChange(state, absl::ToChronoTime(deadline))) {
      return absl::StrCat("no answer within ", DescribeDuration(timeout));
    }
    state = channel->GetState(/*try_to_connect=*/true);
  }
  return "";
}

// Whether a call that got no answer may have changed something.
enum class Effect { kNone, kWrite };

absl::string_view Uncertainty(Effect effect) {
  return effect == Effect::kWrite ? "; it is not known whether the write was done" : "";
}

absl::Status NoAnswerError(absl::string_view endpoint, absl::Duration timeout, Effect effect) {
  return absl::DeadlineExceededError(absl::StrCat("no answer from ", endpoint, " within ",
                                                  DescribeDuration(timeout), Uncertainty(effect)));
}

// Returns the error of a call on a connection that stood when the call began.
absl::Status ErrorOf(const grpc::Status& status, const grpc::ClientContext& context,
                     absl::string_view endpoint, Effect effect) {
  if (status.ok()) return absl::OkStatus();
  const auto code = static_cast<absl::StatusCode>(status.error_code());
  const auto& metadata = context.GetServerTrailingMetadata();
  const auto reason = metadata.find({kReasonMetadata.data(), kReasonMetadata.size()});
  if (reason != metadata.end()) {
    return base::WithReason(absl::Status(code, Escape(status.error_message())),
                            {reason->second.data(), reason->second.size()});
  }
  if (code == absl::StatusCode::kUnavailable) {
    return absl::UnavailableError(
        absl::StrCat("lost the connection to ", endpoint, Uncertainty(effect)));
  }
  if (code == absl::StatusCode::kUnimplemented) {
    return absl::UnimplementedError(
        absl::StrCat(endpoint, " does not know this call; is it a Slipstream node?"));
  }
  return absl::Status(code, absl::StrCat(endpoint, ": ", Escape(status.error_message())));
}

// The events of one streaming call. Each wait is bounded: when the server is silent for longer, the
// call is cancelled, which lets its pending operations fail.
class CallEvents {
 public:
  CallEvents(grpc::ClientContext& context, absl::Duration timeout)
      : context_(context), timeout_(timeout) {}
  ~CallEvents() {
    queue_.Shutdown();
    void* tag = nullptr;
    bool ok = false;
    while (queue_.Next(&tag, &ok)) {
    }
  }

  grpc::CompletionQueue* queue() { return &queue_; }
  bool timed_out() const { return timed_out_; }
  void Cancel() { context_.TryCancel(); }

  struct Event {
    void* tag = nullptr;
    bool ok = false;
  };
  // Waits for an operation, one of which must be pending.
  Event Await() {
    Event event;
    const auto outcome = queue_.AsyncNext(&event.tag, &event.ok, DeadlineAfter(timeout_));
    if (outcome == grpc::CompletionQueue::TIMEOUT) {
      timed_out_ = true;
      context_.TryCancel();
      queue_.Next(&event.tag, &event.ok);
    }
    return event;
  }

 private:
  grpc::ClientContext& context_;
  absl::Duration timeout_;
  grpc::CompletionQueue queue_;
  bool timed_out_ = false;
};

struct CallOptions {
  absl::string_view endpoint;
  absl::Duration timeout;
  Effect effect = Effect::kNone;
};

// Makes one unary call: `method` of `stub`.
template <typename Stub, typename Request, typename Response>
absl::StatusOr<Response> Call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                           Response*),
                              Stub& stub, const Request& request, const CallOptions& options) {
  grpc::ClientContext context;
  context.set_deadline(DeadlineAfter(options.timeout));
  Response response;
  const grpc::Status status = (stub.*method)(&context, request, &response);
  if (status.ok()) return response;
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
    return NoAnswerError(options.endpoint, options.timeout, options.effect);
  }
  return ErrorOf(status, context, options.endpoint, options.effect);
}

// Keeps groups under way in both directions of one stream at a time, so that neither side waits for
// the other to read.
class PipelineLoop {
 public:
  using Stream = grpc::ClientAsyncReaderWriter<v1::PipelineRequest, v1::PipelineResponse>;
  using Next = absl::FunctionRef<bool(v1::PipelineRequest&)>;
  using Take = absl::FunctionRef<absl::Status(const v1::PipelineResponse&)>;

  PipelineLoop(Stream& stream, CallEvents& events) : stream_(stream), events_(events) {}

  // Returns an error of `take`, as soon as no operation is pending. A broken stream is no
  // error here: finishing the call tells what broke it.
  absl::Status Run(Next next, Take take) {
    bool ok = events_.Await().ok;
    absl::Status status;
    while (ok && status.ok()) {
      StartWrite(next);
      StartRead();
      if (!writing_ && !reading_) return absl::OkStatus();
      ok = Advance(take, status);
    }
    // What is pending uses this object; a cancelled or broken call ends it soon.
    if (!status.ok()) events_.Cancel();
    while (writing_ || reading_) Settle(events_.Await());
    return status;
  }

 private:
  // Sends the next group if there is room for one more.
  void StartWrite(Next next) {
    if (writing_ || all_sent_ || in_flight_ == kGroupsInFlightMax) return;
    request_.Clear();
    writing_ = true;
    if (next(request_)) {
      ++in_flight_;
      stream_.Write(request_, &writing_);
    } else {
      all_sent_ = true;
      stream_.WritesDone(&writing_);
    }
  }

  void StartRead() {
    if (reading_ || in_flight_ == 0) return;
    reading_ = true;
    stream_.Read(&response_, &reading_);
  }

  // Waits for one operation; returns whether the stream still stands.
  bool Advance(Take take, absl::Status& status) {
    const CallEvents::Event event = events_.Await();
    Settle(event);
    if (event.ok && event.tag == &reading_) {
      --in_flight_;
      status = take(response_);
    }
    return event.ok;
  }

  // Each operation's tag is the flag that says it is pending.
  void Settle(const CallEvents::Event& event) { *static_cast<bool*>(event.tag) = false; }

  Stream& stream_;
  CallEvents& events_;
  v1::PipelineRequest request_;
  v1::PipelineResponse response_;
  int in_flight_ = 0;
  bool writing_ = false;
  bool reading_ = false;
  bool all_sent_ = false;
};

}  // namespace

struct Client::Connection {
  std::unique_ptr<v1::KvService::Stub> kv;
  std::unique_ptr<v1::AdminService::Stub> admin;
};

absl::StatusOr<std::unique_ptr<Client>> Client::Connect(const std::vector<std::string>& endpoints,
                                                        absl::Duration timeout) {
  const absl::Duration share = timeout / static_cast<int64_t>(endpoints.size());
  std::vector<FailedEndpoint> failed;
  for (const std::string& endpoint : endpoints) {
    const std::shared_ptr<grpc::Channel> channel = MakeChannel(endpoint);
    std::string cause = AwaitConnection(channel, share);
    if (cause.empty()) {
      auto connection = std::make_unique<Connection>(Connection{
          .kv = v1::KvService::NewStub(channel), .admin = v1::AdminService::NewStub(channel)});
      return std::unique_ptr<Client>(new Client(endpoint, std::move(connection), timeout));
    }
    failed.push_back({endpoint, std::move(cause)});
  }
  return UnreachableError(failed);
}

Client::Client(std::string endpoint, std::unique_ptr<Connection> connection, absl::Duration timeout)
    : endpoint_(std::move(endpoint)), connection_(std::move(connection)), timeout_(timeout) {}

Client::~Client() = default;

const std::string& Client::endpoint() const { return endpoint_; }

absl::StatusOr<v1::GetResponse> Client::Get(absl::string_view key) {
  v1::GetRequest request;
  request.set_key(std::string(key));
  return Call(&v1::KvService::Stub::Get, *connection_->kv, request, {endpoint_, timeout_});
}

absl::StatusOr<v1::PutResponse> Client::Put(const v1::PutRequest& request) {
  return Call(&v1::KvService::Stub::Put, *connection_->kv, request,
              {endpoint_, timeout_, Effect::kWrite});
}

absl::StatusOr<v1::DeleteResponse> Client::Delete(absl::string_view key) {
  v1::DeleteRequest request;
  request.set_key(std::string(key));
  return Call(&v1::KvService::Stub::Delete, *connection_->kv, request,
              {endpoint_, timeout_, Effect::kWrite});
}

absl::StatusOr<v1::TransactResponse> Client::Transact(const v1::TransactRequest& request) {
  return Call(&v1::KvService::Stub::Transact, *connection_->kv, request,
              {endpoint_, timeout_, Effect::kWrite});
}

absl::StatusOr<v1::StatusResponse> Client::Status() {
  return Call(&v1::AdminService::Stub::Status, *connection_->admin, v1::StatusRequest(),
              {endpoint_, timeout_});
}

absl::StatusOr<v1::MembersResponse> Client::Members() {
  return Call(&v1::AdminService::Stub::Members, *connection_->admin, v1::MembersRequest(),
              {endpoint_, timeout_});
}

absl::StatusOr<v1::RootResponse> Client::Root(absl::Duration timeout) {
  return Call(&v1::AdminService::Stub::Root, *connection_->admin, v1::RootRequest(),
              {endpoint_, std::min(timeout, timeout_)});
}

absl::StatusOr<v1::SaveSnapshotResponse> Client::SaveSnapshot(absl::string_view directory,
                                                              absl::Duration timeout) {
  v1::SaveSnapshotRequest request;
  request.set_directory(std::string(directory));
  return Call(&v1::AdminService::Stub::SaveSnapshot, *connection_->admin, request,
              {endpoint_, timeout});
}

absl::StatusOr<v1::ProveResponse> Client::Prove(absl::string_view key) {
  v1::ProveRequest request;
  request.set_key(std::string(key));
  return Call(&v1::AdminService::Stub::Prove, *connection_->admin, request, {endpoint_, timeout_});
}

absl::Status Client::Scan(const v1::ScanRequest& request,
                          absl::FunctionRef<absl::Status(const v1::ScanResponse::Item&)> take) {
  grpc::ClientContext context;
  CallEvents events(context, timeout_);
  const auto reader = connection_->kv->AsyncScan(&context, request, events.queue(), nullptr);
  absl::Status taken;
  bool complete = false;
  v1::ScanResponse response;
  bool ok = events.Await().ok;
  while (ok && taken.ok()) {
    reader->Read(&response, nullptr);
    ok = events.Await().ok;
    if (!ok) break;
    complete = response.next_page_token().empty();
    for (const v1::ScanResponse::Item& item : response.items()) {
      taken = take(item);
      if (!taken.ok()) break;
    }
  }
  if (!taken.ok()) context.TryCancel();
  grpc::Status status;
  reader->Finish(&status, nullptr);
  events.Await();
  if (!taken.ok()) return taken;
  if (events.timed_out()) return NoAnswerError(endpoint_, timeout_, Effect::kNone);
  if (status.ok() && !complete && request.page_size() == 0) {
    return absl::InternalError(absl::StrCat(endpoint_, " did not end the listing"));
  }
  return ErrorOf(status, context, endpoint_, Effect::kNone);
}

absl::Status Client::Pipeline(absl::FunctionRef<bool(v1::PipelineRequest&)> next,
                              absl::FunctionRef<absl::Status(const v1::PipelineResponse&)> take) {
  grpc::ClientContext context;
  CallEvents events(context, timeout_);
  const auto stream = connection_->kv->AsyncPipeline(&context, events.queue(), nullptr);
  PipelineLoop loop(*stream, events);
  const absl::Status status = loop.Run(next, take);
  grpc::Status finished;
  stream->Finish(&finished, nullptr);
  events.Await();
  if (!status.ok()) return status;
  if (events.timed_out()) return NoAnswerError(endpoint_, timeout_, Effect::kWrite);
  return ErrorOf(finished, context, endpoint_, Effect::kWrite);
}

}  // namespace slipstream::cli
