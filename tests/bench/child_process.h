// ChildProcess: a server under measurement, started for one run and ended with it.
#ifndef SLIPSTREAM_TESTS_BENCH_CHILD_PROCESS_H_
#define SLIPSTREAM_TESTS_BENCH_CHILD_PROCESS_H_

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace slipstream::bench {

// Not thread-safe.
class ChildProcess {
 public:
  // Starts `arguments[0]` and waits for its first line on standard output, which must have the form
  // "... listening on HOST:PORT ...". UNAVAILABLE if it ends before; its standard error is the
  // caller's.
  static absl::StatusOr<std::unique_ptr<ChildProcess>> Start(std::vector<std::string> arguments);
  // Sends SIGTERM and waits for the end.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  const std::string& address() const { return address_; }

 private:
  ChildProcess(pid_t pid, int output) : pid_(pid), output_(output) {}

  const pid_t pid_;
  const int output_;
  std::string address_;
};

}  // namespace slipstream::bench

#endif  // SLIPSTREAM_TESTS_BENCH_CHILD_PROCESS_H_
