// ChildProcess: a program under measurement, started for one run and ended with it.
#ifndef SLIPSTREAM_TESTS_BENCH_CHILD_PROCESS_H_
#define SLIPSTREAM_TESTS_BENCH_CHILD_PROCESS_H_

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace slipstream::bench {

// Not thread-safe.
class ChildProcess {
 public:
  // Starts `arguments[0]` and waits for its first line on standard output, which must have the form
  // "... listening on HOST:PORT ...". UNAVAILABLE if it ends before; its standard error is the
  // caller's.
  static absl::StatusOr<std::unique_ptr<ChildProcess>> Start(std::vector<std::string> arguments);

  // Starts `program`, found as a shell would, with `arguments`, of which the first is the name that
  // it sees itself called by, and waits until a line on its standard output contains `ready_words`.
  static absl::StatusOr<std::unique_ptr<ChildProcess>> StartUntil(
      const std::string& program, std::vector<std::string> arguments,
      absl::string_view ready_words);

  // Sends SIGTERM, unless the process was waited for, and waits for the end.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  // Start: where it listens.
  const std::string& address() const { return address_; }
  // The line that was waited for.
  const std::string& ready_line() const { return ready_line_; }

  // Waits for the end; `Kill` sends SIGKILL first. UNAVAILABLE if it did not exit with 0.
  absl::Status Wait();
  void Kill();

 private:
  ChildProcess(pid_t pid, int output) : pid_(pid), output_(output) {}

  const pid_t pid_;
  const int output_;
  bool has_ended_ = false;
  std::string ready_line_;
  std::string address_;
};

}  // namespace slipstream::bench

#endif  // SLIPSTREAM_TESTS_BENCH_CHILD_PROCESS_H_
