// StartRedis: Redis 7.0 as a server under measurement.
#ifndef SLIPSTREAM_TESTS_BENCH_REDIS_SERVER_H_
#define SLIPSTREAM_TESTS_BENCH_REDIS_SERVER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "tests/bench/child_process.h"

namespace slipstream::bench {

struct RedisServer {
  std::unique_ptr<ChildProcess> process;
  std::string address;  // "127.0.0.1:PORT".
};

// Starts one on a free port of loopback, with its append-only file, and nothing else, in
// `directory`; returns when it takes connections. `appendfsync` is "everysec" or "always". The
// program is the one of Debian's redis-tools, which calls it redis-check-rdb: what it does depends
// on the name by which it is called. UNAVAILABLE if it cannot be started.
absl::StatusOr<RedisServer> StartRedis(const std::string& directory, absl::string_view appendfsync);

}  // namespace slipstream::bench

#endif  // SLIPSTREAM_TESTS_BENCH_REDIS_SERVER_H_
