// Load: closed-loop clients that keep a number of calls in flight and verify what they read.
#ifndef SLIPSTREAM_TESTS_BENCH_LOAD_H_
#define SLIPSTREAM_TESTS_BENCH_LOAD_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace slipstream::bench {

enum class LoadKind { kPut, kGet };

struct LoadOptions {
  std::string address;
  LoadKind kind = LoadKind::kPut;
  size_t operations = 0;       // In all.
  size_t in_flight = 1;        // Calls (unary), groups (pipeline) or connections (Redis) under way.
  size_t group_size = 64;      // Operations in a group; not of unary calls.
  size_t key_count = 100'000;  // Keys are 16 bytes, drawn uniformly from so many.
  size_t value_bytes = 100;    // A function of the key.
  bool verifies = true;        // Compares what a get returns with what a put stored.
};

struct LoadResult {
  double operations_per_second = 0;
  double seconds = 0;
  double p50_us = 0;  // Of a call or a group.
  double p99_us = 0;
  double p999_us = 0;
};

// Makes unary calls on one channel. An error of any call ends the load with it.
absl::StatusOr<LoadResult> RunUnaryLoad(const LoadOptions& options);

// Sends groups on one Pipeline stream. For kPut and an operation count that is a multiple of the
// key count, every key is written.
absl::StatusOr<LoadResult> RunPipelineLoad(const LoadOptions& options);

// Sends commands to a Redis server, `group_size` at a time on each of `in_flight` connections, the
// next ones when the last is answered. As for the keys, see RunPipelineLoad.
absl::StatusOr<LoadResult> RunRedisLoad(const LoadOptions& options);

// The 16 bytes of key number `index` and the value that is stored under it.
std::string KeyOf(size_t index);
std::string ValueOf(size_t index, size_t value_bytes);

// Sorts `latencies_us` and fills a result for `operations` in `seconds`.
LoadResult Summarize(size_t operations, double seconds, std::vector<double> latencies_us);

}  // namespace slipstream::bench

#endif  // SLIPSTREAM_TESTS_BENCH_LOAD_H_
