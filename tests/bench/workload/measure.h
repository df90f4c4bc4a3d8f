// Measuring: threads that work on an engine against the clock, and what is read off at the end.
#ifndef SLIPSTREAM_TESTS_BENCH_WORKLOAD_MEASURE_H_
#define SLIPSTREAM_TESTS_BENCH_WORKLOAD_MEASURE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/bench/data_set.h"
#include "tests/bench/engine/engine_under_test.h"
#include "tests/bench/latency_histogram.h"
#include "tests/bench/result_row.h"

namespace slipstream::bench {

struct TimedPart {
  size_t operation_count = 0;
  double seconds = 0;
  LatencyHistogram latencies;  // Nanoseconds, each from the end of the thread's last operation.
};

// What one thread does again and again. An error ends the part.
using Operation = std::function<absl::Status(EngineSession&)>;

// Runs `operation_count` operations, shared out evenly, on `thread_count` threads, each with a
// session and an Operation of its own from `make_operation(thread_index)`, and adds time, count and
// latencies to `part`. Starting and joining the threads is not counted.
absl::Status RunThreads(EngineUnderTest& engine, size_t thread_count, size_t operation_count,
                        absl::FunctionRef<Operation(size_t)> make_operation, TimedPart& part);

// Adds the time of `action` to `part`.
absl::Status RunTimed(absl::FunctionRef<absl::Status()> action, TimedPart& part);

// Counts of a thread among several: index, index + thread_count, ...
class Strided {
 public:
  Strided(uint64_t first, uint64_t step) : next_(first), step_(step) {}
  uint64_t Next() {
    const uint64_t result = next_;
    next_ += step_;
    return result;
  }

 private:
  uint64_t next_;
  const uint64_t step_;
};

// An order of `count` indexes in which neighbours are far apart; another for each generation.
uint64_t ShuffledIndex(uint64_t position, uint64_t count, uint32_t generation);

// Puts the keys [first, end) in batches, untimed.
absl::Status Fill(EngineUnderTest& engine, const DataSet& data, uint64_t first, uint64_t end);

// Gets one key and compares: DATA_LOSS unless it has a value of a generation below
// `generation_count`.
absl::Status GetAndVerify(EngineSession& session, const DataSet& data, uint64_t index,
                          uint32_t generation_count = 1);

struct Sample {
  uint64_t key_count = 0;
  uint64_t step = 1;         // Every so many keys one.
  uint32_t generation = 0;   // Whose values are there.
  size_t thread_count = 32;  // As many reads from the disk at a time.
};

// Gets every `step`-th of `key_count` keys and compares with the value of exactly `generation`:
// DATA_LOSS, NOT_FOUND. Not timed.
absl::Status VerifySample(EngineUnderTest& engine, const DataSet& data, const Sample& sample);

// Rate, latencies and seconds of `part`; resident memory and the directory's bytes as of now.
ResultRow RowOf(const TimedPart& part, const std::string& directory);

}  // namespace slipstream::bench

#endif  // SLIPSTREAM_TESTS_BENCH_WORKLOAD_MEASURE_H_
