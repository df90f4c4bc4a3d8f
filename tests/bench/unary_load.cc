#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "base/random.h"
#include "grpcpp/grpcpp.h"
#include "slipstream/v1/kv.grpc.pb.h"
#include "slipstream/v1/kv.pb.h"
#include "tests/bench/load.h"

namespace slipstream::bench {
namespace {

// One slot of the calls in flight: its next call starts in the callback of the last.
// Callbacks of one slot do not overlap; slots share only what is atomic or locked.
class UnaryLoad {
 public:
  explicit UnaryLoad(const LoadOptions& options)
      : options_(options),
        stub_(v1::KvService::NewStub(
            grpc::CreateChannel(options.address, grpc::InsecureChannelCredentials()))),
        latencies_us_(options.operations),
        remaining_slots_(options.in_flight) {
    for (size_t i = 0; i < options.in_flight; ++i) {
      slots_.push_back(std::make_unique<Slot>(base::Random(i)));
    }
  }

  absl::StatusOr<LoadResult> Run() {
    const absl::Time start = absl::Now();
    for (const std::unique_ptr<Slot>& slot : slots_) StartNext(*slot);
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(
        +[](size_t* remaining) { return *remaining == 0; }, &remaining_slots_));
    const double seconds = absl::ToDoubleSeconds(absl::Now() - start);
    if (!status_.ok()) return status_;
    return Summarize(options_.operations, seconds, std::move(latencies_us_));
  }

 private:
  struct Slot {
    explicit Slot(base::Random random) : rng(random) {}
    base::Random rng;
    std::unique_ptr<grpc::ClientContext> context;
    size_t key_index = 0;
    size_t operation_index = 0;
    absl::Time start;
    v1::PutRequest put;
    v1::PutResponse put_response;
    v1::GetRequest get;
    v1::GetResponse get_response;
  };

  void StartNext(Slot& slot) {
    slot.operation_index = next_operation_.fetch_add(1, std::memory_order_relaxed);
    if (slot.operation_index >= options_.operations) {
      absl::MutexLock lock(&mutex_);
      --remaining_slots_;
      return;
    }
    slot.context = std::make_unique<grpc::ClientContext>();
    slot.key_index = slot.rng.Below(options_.key_count);
    slot.start = absl::Now();
    const auto done = [this, &slot](grpc::Status status) { OnDone(slot, status); };
    if (options_.kind == LoadKind::kPut) {
      slot.put.set_key(KeyOf(slot.key_index));
      slot.put.set_value(ValueOf(slot.key_index, options_.value_bytes));
      stub_->async()->Put(slot.context.get(), &slot.put, &slot.put_response, done);
    } else {
      slot.get.set_key(KeyOf(slot.key_index));
      stub_->async()->Get(slot.context.get(), &slot.get, &slot.get_response, done);
    }
  }

  void OnDone(Slot& slot, const grpc::Status& status) {
    latencies_us_[slot.operation_index] = absl::ToDoubleMicroseconds(absl::Now() - slot.start);
    if (!status.ok()) {
      Stop(absl::UnavailableError(absl::StrCat("call failed: ", status.error_message())));
    } else if (options_.kind == LoadKind::kGet && options_.verifies &&
               slot.get_response.value() != ValueOf(slot.key_index, options_.value_bytes)) {
      Stop(absl::DataLossError("a get returned another value than was put"));
    }
    StartNext(slot);
  }

  void Stop(absl::Status status) {
    next_operation_.store(options_.operations, std::memory_order_relaxed);
    absl::MutexLock lock(&mutex_);
    status_.Update(std::move(status));
  }

  const LoadOptions options_;
  const std::unique_ptr<v1::KvService::Stub> stub_;
  std::vector<std::unique_ptr<Slot>> slots_;
  std::atomic<size_t> next_operation_ = 0;
  std::vector<double> latencies_us_;  // Each element has one writer.
  absl::Mutex mutex_;
  size_t remaining_slots_ ABSL_GUARDED_BY(mutex_);
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

std::string KeyOf(size_t index) { return absl::StrFormat("key-%012d", index); }

std::string ValueOf(size_t index, size_t value_bytes) {
  return base::Random(index).Bytes(value_bytes);
}

LoadResult Summarize(size_t operations, double seconds, std::vector<double> latencies_us) {
  SLIP_CHECK(!latencies_us.empty());
  std::sort(latencies_us.begin(), latencies_us.end());
  const auto percentile = [&latencies_us](double fraction) {
    return latencies_us[static_cast<size_t>(fraction *
                                            static_cast<double>(latencies_us.size() - 1))];
  };
  return {.operations_per_second = static_cast<double>(operations) / seconds,
          .seconds = seconds,
          .p50_us = percentile(0.5),
          .p99_us = percentile(0.99),
          .p999_us = percentile(0.999)};
}

absl::StatusOr<LoadResult> RunUnaryLoad(const LoadOptions& options) {
  return UnaryLoad(options).Run();
}

}  // namespace slipstream::bench
