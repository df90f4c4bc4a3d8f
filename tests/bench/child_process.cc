#include "tests/bench/child_process.h"

#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"

namespace slipstream::bench {
namespace {

constexpr size_t kLineBytesMax = 4096;

absl::StatusOr<std::string> ReadLine(int descriptor) {
  std::string line;
  char byte = 0;
  while (line.size() < kLineBytesMax) {
    const ssize_t count = read(descriptor, &byte, 1);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return absl::UnavailableError("the server ended before it listened");
    if (byte == '\n') return line;
    line.push_back(byte);
  }
  return absl::UnavailableError("the server's first line is too long");
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
  int ends[2];
  if (pipe(ends) != 0) return absl::UnavailableError(std::strerror(errno));
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_addclose(&actions, ends[0]);
  posix_spawn_file_actions_addclose(&actions, ends[1]);
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  pid_t pid = 0;
  const int error = posix_spawn(&pid, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  if (error != 0) {
    close(ends[0]);
    return absl::UnavailableError(absl::StrCat(arguments[0], ": ", std::strerror(error)));
  }
  std::unique_ptr<ChildProcess> child(new ChildProcess(pid, ends[0]));
  SLIP_ASSIGN_OR_RETURN(const std::string line, ReadLine(ends[0]));
  SLIP_ASSIGN_OR_RETURN(child->address_, AddressIn(line));
  return child;
}

ChildProcess::~ChildProcess() {
  kill(pid_, SIGTERM);
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  close(output_);
}

}  // namespace slipstream::bench
