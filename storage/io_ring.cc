#include "storage/io_ring.h"

#include <liburing.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"

namespace slipstream::storage {
namespace {

absl::Status RingError(const char* operation, int result) {
  return absl::UnavailableError(absl::StrCat(operation, ": ", std::strerror(-result)));
}

// The kernel is short of something for a moment; what was submitted goes on.
bool IsPassing(int result) { return result == -EINTR || result == -EAGAIN || result == -EBUSY; }

}  // namespace

absl::StatusOr<std::unique_ptr<IoRing>> IoRing::Create() {
  auto ring = std::make_unique<io_uring>();
  const int result = io_uring_queue_init(kDepth, ring.get(), /*flags=*/0);
  if (result < 0) return RingError("io_uring_setup", result);
  return std::unique_ptr<IoRing>(new IoRing(std::move(ring)));
}

IoRing::IoRing(std::unique_ptr<io_uring> ring) : ring_(std::move(ring)) {}

IoRing::~IoRing() { io_uring_queue_exit(ring_.get()); }

absl::Status IoRing::Run(absl::Span<Read> reads) {
  for (size_t next = 0; next < reads.size(); next += kDepth) {
    SLIP_RETURN_IF_ERROR(RunPart(reads.subspan(next, kDepth)));
  }
  return absl::OkStatus();
}

absl::Status IoRing::RunPart(absl::Span<Read> reads) {
  for (size_t i = 0; i < reads.size(); ++i) {
    io_uring_sqe* const entry = io_uring_get_sqe(ring_.get());
    SLIP_CHECK(entry != nullptr);  // The ring is empty between parts, and holds one.
    const Read& read = reads[i];
    io_uring_prep_read(entry, read.descriptor, read.destination, static_cast<unsigned>(read.count),
                       read.offset);
    io_uring_sqe_set_data64(entry, i);
  }
  size_t ended_count = 0;
  int failure = 0;
  while (ended_count < reads.size()) {
    // What was never submitted will not end. The rest must, before its memory may go.
    const size_t unsubmitted_count = failure == 0 ? 0 : io_uring_sq_ready(ring_.get());
    if (ended_count + unsubmitted_count == reads.size()) break;
    io_uring_cqe* ended = nullptr;
    const int result = failure == 0 ? io_uring_submit_and_wait(ring_.get(), /*wait_nr=*/1)
                                    : io_uring_wait_cqe(ring_.get(), &ended);
    if (result < 0 && !IsPassing(result) && failure == 0) failure = result;
    ended_count += Reap(reads);
  }
  return failure == 0 ? absl::OkStatus() : RingError("io_uring_enter", failure);
}

size_t IoRing::Reap(absl::Span<Read> reads) {
  size_t count = 0;
  io_uring_cqe* ended = nullptr;
  while (io_uring_peek_cqe(ring_.get(), &ended) == 0) {
    reads[io_uring_cqe_get_data64(ended)].result = ended->res;
    io_uring_cqe_seen(ring_.get(), ended);
    ++count;
  }
  return count;
}

}  // namespace slipstream::storage
