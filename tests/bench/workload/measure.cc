#include "tests/bench/workload/measure.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <numeric>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/barrier.h"
#include "base/status_macros.h"
#include "tests/bench/process_figures.h"

namespace slipstream::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kFillBatch = 500;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

struct Worker {
  std::unique_ptr<EngineSession> session;
  Operation operation;
  size_t operation_count = 0;
  Clock::time_point start;
  Clock::time_point end;
  LatencyHistogram latencies;
  absl::Status status;

  void Run() {
    start = end = Clock::now();
    for (size_t i = 0; i < operation_count && status.ok(); ++i) {
      status = operation(*session);
      const Clock::time_point now = Clock::now();
      latencies.Record(static_cast<uint64_t>((now - end).count()));
      end = now;
    }
  }
};

}  // namespace

absl::Status RunThreads(EngineUnderTest& engine, size_t thread_count, size_t operation_count,
                        absl::FunctionRef<Operation(size_t)> make_operation, TimedPart& part) {
  std::vector<Worker> workers(thread_count);
  for (size_t i = 0; i < thread_count; ++i) {
    workers[i].session = engine.NewSession();
    workers[i].operation = make_operation(i);
    workers[i].operation_count =
        operation_count / thread_count + (i < operation_count % thread_count ? 1 : 0);
  }
  // Deleted by the last who passes it.
  auto* const barrier = new absl::Barrier(static_cast<int>(thread_count));
  std::vector<std::thread> threads;
  for (Worker& worker : workers) {
    threads.emplace_back([&worker, barrier] {
      if (barrier->Block()) delete barrier;
      worker.Run();
    });
  }
  for (std::thread& thread : threads) thread.join();
  Clock::time_point start = workers[0].start;
  Clock::time_point end = workers[0].end;
  for (const Worker& worker : workers) {
    SLIP_RETURN_IF_ERROR(worker.status);
    start = std::min(start, worker.start);
    end = std::max(end, worker.end);
    part.latencies.Merge(worker.latencies);
  }
  part.operation_count += operation_count;
  part.seconds += std::chrono::duration<double>(end - start).count();
  return absl::OkStatus();
}

absl::Status RunTimed(absl::FunctionRef<absl::Status()> action, TimedPart& part) {
  const Clock::time_point start = Clock::now();
  absl::Status status = action();
  part.seconds += SecondsSince(start);
  return status;
}

uint64_t ShuffledIndex(uint64_t position, uint64_t count, uint32_t generation) {
  constexpr std::array<uint64_t, 4> kPrimes = {2654435761, 3266489917, 2246822519, 3367900313};
  const uint64_t prime = kPrimes[generation % kPrimes.size()];
  // Large primes, so this does not happen below two thousand million.
  const uint64_t factor = std::gcd(prime, count) == 1 ? prime : 1;
  return position * factor % count;
}

absl::Status Fill(EngineUnderTest& engine, const DataSet& data, uint64_t first, uint64_t end) {
  const std::unique_ptr<EngineSession> session = engine.NewSession();
  std::vector<BenchKey> keys;
  std::vector<KeyValue> pairs;
  keys.reserve(kFillBatch);
  for (uint64_t index = first; index < end;) {
    keys.clear();
    pairs.clear();
    for (; index < end && keys.size() < kFillBatch; ++index) {
      keys.emplace_back(index);
      pairs.push_back({.key = keys.back().view(), .value = data.ValueOf(index)});
    }
    SLIP_RETURN_IF_ERROR(session->PutMany(pairs));
  }
  return absl::OkStatus();
}

absl::Status GetAndVerify(EngineSession& session, const DataSet& data, uint64_t index,
                          uint32_t generation_count) {
  SLIP_ASSIGN_OR_RETURN(const absl::string_view value, session.Get(BenchKey(index).view()));
  if (data.IsValueOf(value, index, generation_count)) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("key ", index, " has another value than was put"));
}

absl::Status VerifySample(EngineUnderTest& engine, const DataSet& data, const Sample& sample) {
  const auto make_operation = [&data, &sample](size_t thread_index) {
    Strided indexes(thread_index * sample.step, sample.thread_count * sample.step);
    return [indexes, &data, &sample](EngineSession& session) mutable -> absl::Status {
      const uint64_t index = indexes.Next();
      SLIP_ASSIGN_OR_RETURN(const absl::string_view value, session.Get(BenchKey(index).view()));
      if (value == data.ValueOf(index, sample.generation)) return absl::OkStatus();
      return absl::DataLossError(absl::StrCat("key ", index, " has not what was put last"));
    };
  };
  const uint64_t count = (sample.key_count + sample.step - 1) / sample.step;
  TimedPart ignored;
  return RunThreads(engine, sample.thread_count, count, make_operation, ignored);
}

ResultRow RowOf(const TimedPart& part, const std::string& directory) {
  constexpr double kNanosecondsPerMicrosecond = 1000;
  const auto percentile = [&part](double fraction) {
    return static_cast<double>(part.latencies.Percentile(fraction)) / kNanosecondsPerMicrosecond;
  };
  return {.ops_per_s = static_cast<double>(part.operation_count) / part.seconds,
          .p50_us = percentile(0.5),
          .p99_us = percentile(0.99),
          .p999_us = percentile(0.999),
          .rss_bytes = static_cast<double>(FiguresOfThisProcess().resident_bytes),
          .disk_bytes = static_cast<double>(DiskBytesOf(directory)),
          .seconds = part.seconds};
}

}  // namespace slipstream::bench
