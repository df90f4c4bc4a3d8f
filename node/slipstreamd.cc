// slipstreamd: one node of a Slipstream cluster. Reads its flags, starts the server, waits for a
// signal. Exit codes: 0 left on request, 1 error, 2 usage.

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/random/random.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "base/check.h"
#include "base/digest.h"
#include "base/error_reason.h"
#include "node/daemon_flags.h"
#include "node/endpoint.h"
#include "node/log.h"
#include "node/node_report.h"
#include "node/replica_types.h"
#include "node/scrub_report.h"
#include "node/server.h"
#include "storage/engine.h"
#include "storage/file_system.h"
#include "storage/posix_file_system.h"

namespace slipstream::node {
namespace {

constexpr int kExitOk = 0;
constexpr int kExitError = 1;
constexpr int kExitUsage = 2;

// Waits for SIGTERM, SIGINT or the engine's failure. Made before any other thread, which then do
// not take the signals. Thread-safe.
class LeaveEvent {
 public:
  LeaveEvent() {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    SLIP_CHECK(pthread_sigmask(SIG_BLOCK, &signals, nullptr) == 0);
    signal_fd_ = signalfd(-1, &signals, SFD_CLOEXEC);
    failure_fd_ = eventfd(0, EFD_CLOEXEC);
    SLIP_CHECK(signal_fd_ >= 0);
    SLIP_CHECK(failure_fd_ >= 0);
  }
  LeaveEvent(const LeaveEvent&) = delete;
  LeaveEvent& operator=(const LeaveEvent&) = delete;
  ~LeaveEvent() {
    close(signal_fd_);
    close(failure_fd_);
  }

  void NotifyFailure() {
    const uint64_t one = 1;
    SLIP_CHECK(write(failure_fd_, &one, sizeof(one)) == sizeof(one));
  }

  enum class Cause { kSignal, kFailure };
  Cause Wait() {
    std::array<pollfd, 2> fds = {pollfd{.fd = signal_fd_, .events = POLLIN, .revents = 0},
                                 pollfd{.fd = failure_fd_, .events = POLLIN, .revents = 0}};
    while (poll(fds.data(), fds.size(), -1) <= 0) {
    }
    return fds[1].revents != 0 ? Cause::kFailure : Cause::kSignal;
  }

 private:
  int signal_fd_ = -1;
  int failure_fd_ = -1;
};

// What the operator can do about an error of the start.
absl::string_view HintFor(const absl::Status& status) {
  const std::string reason = base::ReasonOf(status);
  if (reason == base::kReasonDirectoryInUse) {
    return "; stop the other process, or give this one its own --data-dir";
  }
  if (reason == base::kReasonDirectoryForeign) return "; use another --data-dir";
  if (reason == base::kReasonLogDamaged) {
    return "; name --peers that have the data, or accept the loss with --accept-data-loss";
  }
  return "";
}

// Says in one line why the daemon does not start.
void Refuse(const absl::Status& status) {
  std::fprintf(stderr, "slipstreamd: %s%s\n", std::string(status.message()).c_str(),
               std::string(HintFor(status)).c_str());
}

// The line that tells people and scripts that the node serves, and where.
void PrintReady(Server& server, const ServerOptions& options, const storage::IoPath& io_path) {
  storage::Lsn lsn = 0;
  const NodeSummary summary = server.replica().Summary(&lsn);
  std::error_code ignored;
  const std::filesystem::path directory =
      std::filesystem::absolute(options.data_directory, ignored).lexically_normal();
  std::string sync(SyncPolicyName(options.replica.storage.sync));
  if (options.replica.storage.sync == storage::SyncPolicy::kInterval) {
    absl::StrAppend(&sync, ":", absl::ToInt64Milliseconds(options.sync_interval));
  }
  const std::string line = absl::StrCat(
      "slipstreamd listening on ", ToString(server.endpoint()), " node=", summary.name,
      " actor=", IdToHex(static_cast<uint64_t>(summary.actor)), " data=", directory.string(),
      " sync=", sync, " io=", io_path.direct ? "direct" : "buffered", " keys=", summary.key_count,
      " root=", base::ToHex(summary.root), "\n");
  std::fputs(line.c_str(), stdout);
  std::fflush(stdout);
}

int Leave(Server& server, LeaveEvent::Cause cause, Log& log) {
  if (cause == LeaveEvent::Cause::kSignal) {
    log.Write(LogLevel::kInfo, "draining", "told to leave: takes no new calls");
  }
  const absl::Status closed = server.Drain();
  if (cause == LeaveEvent::Cause::kFailure) return kExitError;
  if (!closed.ok()) {
    log.Write(LogLevel::kError, "close_failed", "what was written last may not be on disk",
              {{"error", closed.ToString()}});
    return kExitError;
  }
  log.Write(LogLevel::kInfo, "stopped", "all that was written is on disk");
  return kExitOk;
}

int Serve(const DaemonOptions& options, LeaveEvent& leave) {
  Log log(options.log_format, options.server.replica.name);
  storage::PosixFileSystem fs(options.direct_io, options.io_uring);
  ServerOptions server_options = options.server;
  const Healers healers = server_options.replica.peers.empty() ? Healers::kNone : Healers::kPeers;
  server_options.maintenance.on_damage = [&log, healers](const ScrubStep& step) {
    for (const std::string& sentence : ScrubInWords(step, healers)) {
      log.Write(LogLevel::kWarning, "damage", sentence);
    }
  };
  const absl::StatusOr<std::unique_ptr<Server>> server =
      Server::Start(&fs, server_options, absl::Uniform<uint64_t>(absl::BitGen()),
                    [&log, &leave](const absl::Status& status) {
                      log.Write(LogLevel::kError, "engine_failed",
                                "the disk failed: the process leaves, to be started again",
                                {{"error", status.ToString()}});
                      leave.NotifyFailure();
                    });
  if (!server.ok()) {
    Refuse(server.status());
    return kExitError;
  }
  Replica& replica = (*server)->replica();
  for (const std::string& sentence : RecoveryInWords(replica.engine().recovery_report())) {
    log.Write(LogLevel::kWarning, "recovery", sentence);
  }
  const storage::IoPath io_path = replica.engine().stats().io_path;
  if (!io_path.direct) {
    log.Write(LogLevel::kInfo, "buffered_io", "the log goes through the page cache",
              {{"why", io_path.why_buffered}});
  }
  if (!fs.io_uring().ok()) {
    log.Write(LogLevel::kInfo, "no_io_uring", "several reads go to the disk one after the other",
              {{"why", std::string(fs.io_uring().message())}});
  }
  PrintReady(**server, options.server, io_path);
  return Leave(**server, leave.Wait(), log);
}

int Run(const std::vector<std::string>& arguments) {
  LeaveEvent leave;
  std::signal(SIGPIPE, SIG_IGN);
  SetUpGrpc();
  const absl::StatusOr<ParsedFlags> flags = ParseDaemonFlags(arguments);
  absl::Status status = flags.status();
  if (status.ok() && flags->text.has_value()) {
    std::fputs(flags->text->c_str(), stdout);
    return kExitOk;
  }
  if (status.ok()) status = CheckListenReach(flags->options);
  if (!status.ok()) {
    Refuse(status);
    return kExitUsage;
  }
  return Serve(flags->options, leave);
}

}  // namespace
}  // namespace slipstream::node

int main(int argc, char** argv) {
  // Debian builds Abseil with its search for lock cycles on, a graph under one lock for the whole
  // process that each nested Lock updates. Tests keep it; what serves does without.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  return slipstream::node::Run(std::vector<std::string>(argv + 1, argv + argc));
}
