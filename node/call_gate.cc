#include "node/call_gate.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/error_reason.h"

namespace slipstream::node {
namespace {

absl::Status TooBusy(absl::string_view message) {
  return base::WithReason(absl::ResourceExhaustedError(message), base::kReasonTooBusy);
}

}  // namespace

CallGate::Ticket::Ticket(Ticket&& other) noexcept
    : gate_(std::exchange(other.gate_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

CallGate::Ticket& CallGate::Ticket::operator=(Ticket&& other) noexcept {
  if (this != &other) {
    Release();
    gate_ = std::exchange(other.gate_, nullptr);
    bytes_ = std::exchange(other.bytes_, 0);
  }
  return *this;
}

absl::Status CallGate::Ticket::AddBytes(size_t bytes) {
  SLIP_CHECK(gate_ != nullptr);
  const size_t before = gate_->bytes_.fetch_add(bytes, std::memory_order_relaxed);
  if (before + bytes > gate_->limits_.bytes_max) {
    gate_->bytes_.fetch_sub(bytes, std::memory_order_relaxed);
    return TooBusy(absl::StrCat("calls under way hold ", before, " bytes and this one wants ",
                                bytes, " more, of at most ", gate_->limits_.bytes_max,
                                " in all; try again later"));
  }
  bytes_ += bytes;
  return absl::OkStatus();
}

void CallGate::Ticket::RemoveBytes(size_t bytes) {
  SLIP_CHECK(bytes <= bytes_);
  bytes_ -= bytes;
  gate_->bytes_.fetch_sub(bytes, std::memory_order_relaxed);
}

void CallGate::Ticket::Release() {
  if (gate_ == nullptr) return;
  gate_->bytes_.fetch_sub(bytes_, std::memory_order_relaxed);
  gate_->Leave();
  gate_ = nullptr;
}

void CallGate::AwaitIdle(absl::Duration timeout) {
  absl::MutexLock lock(&idle_mutex_);
  idle_mutex_.AwaitWithTimeout(absl::Condition(this, &CallGate::IsIdle), timeout);
}

void CallGate::Leave() {
  // Sequentially consistent, as StartDraining is: either this sees that the gate drains, or
  // AwaitIdle sees that the last call has left.
  if (calls_.fetch_sub(1) == 1 && draining()) {
    absl::MutexLock lock(&idle_mutex_);  // Unlocking makes AwaitIdle look again.
  }
}

absl::StatusOr<CallGate::Ticket> CallGate::Enter() {
  if (draining()) return DrainingError();
  const size_t before = calls_.fetch_add(1, std::memory_order_relaxed);
  if (before >= limits_.calls_max) {
    Leave();
    return TooBusy(absl::StrCat(before, " calls are under way, of at most ", limits_.calls_max,
                                "; try again later"));
  }
  return Ticket(this);
}

absl::Status DrainingError() {
  return base::WithReason(absl::UnavailableError("the node is shutting down; ask another one"),
                          base::kReasonDraining);
}

}  // namespace slipstream::node
