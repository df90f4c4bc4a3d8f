#include "tests/bench/child_process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"

namespace slipstream::bench {
namespace {

constexpr size_t kLineBytesMax = 1 << 16;

absl::StatusOr<std::string> ReadLine(int descriptor) {
  std::string line;
  char byte = 0;
  while (line.size() < kLineBytesMax) {
    const ssize_t count = read(descriptor, &byte, 1);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return absl::UnavailableError("the program ended before it was ready");
    if (byte == '\n') return line;
    line.push_back(byte);
  }
  return absl::UnavailableError("a line of the program is too long");
}

absl::StatusOr<std::string> AddressIn(absl::string_view line) {
  constexpr absl::string_view kBefore = "listening on ";
  const size_t start = line.find(kBefore);
  if (start == absl::string_view::npos) {
    return absl::UnavailableError(absl::StrCat("no address in the server's line \"", line, "\""));
  }
  line.remove_prefix(start + kBefore.size());
  return std::string(line.substr(0, line.find(' ')));
}

}  // namespace

absl::StatusOr<std::unique_ptr<ChildProcess>> ChildProcess::Start(
    std::vector<std::string> arguments) {
  const std::string program = arguments[0];
  SLIP_ASSIGN_OR_RETURN(std::unique_ptr<ChildProcess> child,
                        StartUntil(program, std::move(arguments), ""));
  SLIP_ASSIGN_OR_RETURN(child->address_, AddressIn(child->ready_line_));
  return child;
}

absl::StatusOr<std::unique_ptr<ChildProcess>> ChildProcess::StartUntil(
    const std::string& program, std::vector<std::string> arguments, absl::string_view ready_words) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return absl::UnavailableError(std::strerror(errno));
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  pid_t pid = 0;
  const int error = posix_spawnp(&pid, program.c_str(), &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  if (error != 0) {
    close(ends[0]);
    return absl::UnavailableError(absl::StrCat(program, ": ", std::strerror(error)));
  }
  std::unique_ptr<ChildProcess> child(new ChildProcess(pid, ends[0]));
  do {
    SLIP_ASSIGN_OR_RETURN(child->ready_line_, ReadLine(ends[0]));
  } while (!absl::StrContains(child->ready_line_, ready_words));
  return child;
}

absl::Status ChildProcess::Wait() {
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  has_ended_ = true;
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("ended with wait status ", status));
}

void ChildProcess::Kill() {
  kill(pid_, SIGKILL);
  Wait().IgnoreError();
}

ChildProcess::~ChildProcess() {
  if (!has_ended_) {
    kill(pid_, SIGTERM);
    Wait().IgnoreError();
  }
  close(output_);
}

}  // namespace slipstream::bench
