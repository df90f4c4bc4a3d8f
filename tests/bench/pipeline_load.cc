#include <algorithm>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/random.h"
#include "grpcpp/grpcpp.h"
#include "slipstream/v1/kv.grpc.pb.h"
#include "slipstream/v1/kv.pb.h"
#include "tests/bench/load.h"

namespace slipstream::bench {
namespace {

// One stream with a window of groups. Writes and reads each are one at a time; both sides of the
// window change under the lock. Requests are made before the clock starts: a client that makes them
// on the way would measure itself.
class PipelineLoad final
    : public grpc::ClientBidiReactor<v1::PipelineRequest, v1::PipelineResponse> {
 public:
  explicit PipelineLoad(const LoadOptions& options) : options_(options) {
    base::Random rng(1);
    const size_t group_count = (options.operations + options.group_size - 1) / options.group_size;
    size_t operation_index = 0;
    for (size_t group = 0; group < group_count; ++group) {
      v1::PipelineRequest& request = requests_.emplace_back();
      request.set_id(group);
      for (size_t i = 0; i < options.group_size && operation_index < options.operations; ++i) {
        AddOperation(request, operation_index++, rng);
      }
    }
  }

  absl::StatusOr<LoadResult> Run() {
    const std::unique_ptr<v1::KvService::Stub> stub = v1::KvService::NewStub(
        grpc::CreateChannel(options_.address, grpc::InsecureChannelCredentials()));
    const absl::Time start = absl::Now();
    stub->async()->Pipeline(&context_, this);
    {
      absl::MutexLock lock(&mutex_);
      MaybeWrite();
    }
    StartRead(&response_);
    StartCall();
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&done_));
    const double seconds = absl::ToDoubleSeconds(absl::Now() - start);
    if (!status_.ok()) return status_;
    if (read_count_ != requests_.size()) return absl::DataLossError("the stream ended early");
    return Summarize(options_.operations, seconds, std::move(latencies_us_));
  }

  void OnWriteDone(bool ok) override {
    absl::MutexLock lock(&mutex_);
    writing_ = false;
    if (ok) MaybeWrite();
  }

  void OnReadDone(bool ok) override {
    if (!ok) return;
    absl::Status status = Check(response_);
    absl::MutexLock lock(&mutex_);
    latencies_us_.push_back(absl::ToDoubleMicroseconds(absl::Now() - sent_.front()));
    sent_.pop_front();
    ++read_count_;
    status_.Update(std::move(status));
    MaybeWrite();
    StartRead(&response_);
  }

  void OnDone(const grpc::Status& status) override {
    absl::MutexLock lock(&mutex_);
    if (!status.ok()) {
      status_.Update(absl::UnavailableError(absl::StrCat("stream: ", status.error_message())));
    }
    done_ = true;
  }

 private:
  void AddOperation(v1::PipelineRequest& request, size_t operation_index, base::Random& rng) {
    v1::Operation& operation = *request.add_operations();
    if (options_.kind == LoadKind::kPut) {
      // Every key once before any again, so that gets find what they ask for.
      const size_t key_index = operation_index % options_.key_count;
      operation.set_kind(v1::OPERATION_KIND_PUT);
      operation.set_key(KeyOf(key_index));
      operation.set_value(ValueOf(key_index, options_.value_bytes));
      return;
    }
    const size_t key_index = rng.Below(options_.key_count);
    operation.set_kind(v1::OPERATION_KIND_GET);
    operation.set_key(KeyOf(key_index));
    if (options_.verifies) expected_.push_back(ValueOf(key_index, options_.value_bytes));
  }

  absl::Status Check(const v1::PipelineResponse& response) const {
    size_t operation_index = response.id() * options_.group_size;
    for (const v1::PipelineResponse::Result& result : response.results()) {
      if (result.code() != 0) return absl::UnavailableError(result.message());
      if (!expected_.empty() && result.value() != expected_[operation_index]) {
        return absl::DataLossError("a get returned another value than was put");
      }
      ++operation_index;
    }
    return absl::OkStatus();
  }

  void MaybeWrite() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (writing_ || closed_ || sent_.size() >= options_.in_flight) return;
    if (write_count_ == requests_.size() || !status_.ok()) {
      closed_ = true;
      StartWritesDone();
      return;
    }
    writing_ = true;
    sent_.push_back(absl::Now());
    StartWrite(&requests_[write_count_++]);
  }

  const LoadOptions options_;
  std::vector<v1::PipelineRequest> requests_;
  std::vector<std::string> expected_;
  grpc::ClientContext context_;
  v1::PipelineResponse response_;  // Of the one read under way.
  absl::Mutex mutex_;
  std::deque<absl::Time> sent_ ABSL_GUARDED_BY(mutex_);
  std::vector<double> latencies_us_ ABSL_GUARDED_BY(mutex_);
  size_t write_count_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t read_count_ ABSL_GUARDED_BY(mutex_) = 0;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  bool done_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

absl::StatusOr<LoadResult> RunPipelineLoad(const LoadOptions& options) {
  return PipelineLoad(options).Run();
}

}  // namespace slipstream::bench
