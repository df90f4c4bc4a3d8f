#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "tests/bench/load.h"
#include "tests/bench/resp.h"

namespace slipstream::bench {
namespace {

constexpr size_t kReadBytes = 64 << 10;

absl::Status SystemError(absl::string_view what) {
  return absl::UnavailableError(absl::StrCat(what, ": ", std::strerror(errno)));
}

// One connection, with one batch under way at a time. Not thread-safe.
class Connection {
 public:
  Connection() : buffer_(kReadBytes, '\0') {}
  ~Connection() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  absl::Status Connect(absl::string_view address_text) {
    const std::pair<std::string, std::string> parts = absl::StrSplit(address_text, ':');
    int port = 0;
    sockaddr_in address{};
    address.sin_family = AF_INET;
    if (!absl::SimpleAtoi(parts.second, &port) ||
        inet_pton(AF_INET, parts.first.c_str(), &address.sin_addr) != 1) {
      return absl::InvalidArgumentError(absl::StrCat("not an address: ", address_text));
    }
    address.sin_port = htons(static_cast<uint16_t>(port));
    descriptor_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor_ < 0) return SystemError("socket");
    const int one = 1;
    setsockopt(descriptor_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (connect(descriptor_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
      return SystemError("connect");
    }
    return absl::OkStatus();
  }

  // A batch is a few KiB and nothing else is under way, so this does not block for long.
  absl::Status Send(absl::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent < 0 && errno == EINTR) continue;
      if (sent <= 0) return SystemError("send");
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return absl::OkStatus();
  }

  // Reads what is there; the connection must be readable.
  absl::Status Receive() {
    const ssize_t count = recv(descriptor_, buffer_.data(), buffer_.size(), 0);
    if (count < 0 && errno == EINTR) return absl::OkStatus();
    if (count <= 0) return SystemError("recv");
    reader_.Append({buffer_.data(), static_cast<size_t>(count)});
    return absl::OkStatus();
  }

  int descriptor() const { return descriptor_; }
  RespReader& reader() { return reader_; }

  size_t batch_index = 0;   // Of the one under way.
  size_t replies_read = 0;  // Of its replies.
  absl::Time sent;

 private:
  int descriptor_ = -1;
  std::string buffer_;
  RespReader reader_;
};

// One thread for all connections: the server has one, too, and the machine two cores. Requests are
// made before the clock starts, as in PipelineLoad.
class RedisLoad {
 public:
  explicit RedisLoad(const LoadOptions& options)
      : options_(options), epoll_(epoll_create1(EPOLL_CLOEXEC)) {
    base::Random rng(1);
    std::string batch;
    for (size_t i = 0; i < options.operations; ++i) {
      AddOperation(i, rng, batch);
      if ((i + 1) % options.group_size == 0 || i + 1 == options.operations) {
        batches_.push_back(std::exchange(batch, std::string()));
      }
    }
  }
  ~RedisLoad() {
    if (epoll_ >= 0) close(epoll_);
  }
  RedisLoad(const RedisLoad&) = delete;
  RedisLoad& operator=(const RedisLoad&) = delete;

  absl::StatusOr<LoadResult> Run() {
    SLIP_RETURN_IF_ERROR(Connect());
    const absl::Time start = absl::Now();
    for (const std::unique_ptr<Connection>& connection : connections_) {
      SLIP_RETURN_IF_ERROR(SendNext(*connection));
    }
    std::array<epoll_event, 64> events;
    while (finished_count_ < batches_.size()) {
      const int count = epoll_wait(epoll_, events.data(), events.size(), -1);
      if (count < 0 && errno != EINTR) return SystemError("epoll_wait");
      for (int i = 0; i < count; ++i) {
        SLIP_RETURN_IF_ERROR(OnReadable(*static_cast<Connection*>(events[i].data.ptr)));
      }
    }
    return Summarize(options_.operations, absl::ToDoubleSeconds(absl::Now() - start),
                     std::move(latencies_us_));
  }

 private:
  void AddOperation(size_t operation_index, base::Random& rng, std::string& batch) {
    if (options_.kind == LoadKind::kPut) {
      // Every key once before any again, so that gets find what they ask for.
      const size_t key_index = operation_index % options_.key_count;
      AppendRespCommand({"SET", KeyOf(key_index), ValueOf(key_index, options_.value_bytes)}, batch);
      return;
    }
    const size_t key_index = rng.Below(options_.key_count);
    AppendRespCommand({"GET", KeyOf(key_index)}, batch);
    expected_.push_back(ValueOf(key_index, options_.value_bytes));
  }

  absl::Status Connect() {
    for (size_t i = 0; i < std::min(options_.in_flight, batches_.size()); ++i) {
      Connection& connection = *connections_.emplace_back(std::make_unique<Connection>());
      SLIP_RETURN_IF_ERROR(connection.Connect(options_.address));
      epoll_event event{};
      event.events = EPOLLIN;
      event.data.ptr = &connection;
      if (epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.descriptor(), &event) != 0) {
        return SystemError("epoll_ctl");
      }
    }
    return absl::OkStatus();
  }

  absl::Status SendNext(Connection& connection) {
    if (next_batch_ == batches_.size()) return absl::OkStatus();
    connection.batch_index = next_batch_++;
    connection.replies_read = 0;
    connection.sent = absl::Now();
    return connection.Send(batches_[connection.batch_index]);
  }

  size_t OperationCount(size_t batch_index) const {
    return std::min(options_.group_size, options_.operations - batch_index * options_.group_size);
  }

  absl::Status OnReadable(Connection& connection) {
    SLIP_RETURN_IF_ERROR(connection.Receive());
    while (true) {
      SLIP_ASSIGN_OR_RETURN(const absl::optional<RespReply> reply, connection.reader().Next());
      if (!reply.has_value()) return absl::OkStatus();
      SLIP_RETURN_IF_ERROR(
          Check(*reply, connection.batch_index * options_.group_size + connection.replies_read));
      if (++connection.replies_read < OperationCount(connection.batch_index)) continue;
      latencies_us_.push_back(absl::ToDoubleMicroseconds(absl::Now() - connection.sent));
      ++finished_count_;
      SLIP_RETURN_IF_ERROR(SendNext(connection));
    }
  }

  absl::Status Check(const RespReply& reply, size_t operation_index) const {
    if (options_.kind == LoadKind::kPut) {
      if (reply.kind == RespReply::Kind::kSimple && reply.text == "OK") return absl::OkStatus();
      return absl::UnavailableError(absl::StrCat("SET answered \"", reply.text, "\""));
    }
    if (reply.kind == RespReply::Kind::kBulk && reply.text == expected_[operation_index]) {
      return absl::OkStatus();
    }
    return absl::DataLossError("a get returned another value than was put");
  }

  const LoadOptions options_;
  const int epoll_;
  std::vector<std::string> batches_;
  std::vector<std::string> expected_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<double> latencies_us_;  // Of batches.
  size_t next_batch_ = 0;
  size_t finished_count_ = 0;
};

}  // namespace

absl::StatusOr<LoadResult> RunRedisLoad(const LoadOptions& options) {
  return RedisLoad(options).Run();
}

}  // namespace slipstream::bench
