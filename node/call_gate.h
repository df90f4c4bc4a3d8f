// CallGate: how much the node takes on at once. Each call enters before it does anything and holds
// a ticket until its answer has left; beyond the limits the caller is told to come back later.
#ifndef SLIPSTREAM_NODE_CALL_GATE_H_
#define SLIPSTREAM_NODE_CALL_GATE_H_

#include <atomic>
#include <cstddef>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace slipstream::node {

struct CallLimits {
  size_t calls_max = 4096;
  size_t bytes_max = 512 << 20;  // Of the requests and answers that these calls hold in memory.
};

// Thread-safe, lock-free until it drains.
class CallGate {
 public:
  // A call's place; gives back what it holds when it is destroyed. Thread-compatible. Movable; one
  // that is default-made or moved from holds nothing.
  class Ticket {
   public:
    Ticket() = default;
    Ticket(Ticket&& other) noexcept;
    Ticket& operator=(Ticket&& other) noexcept;
    ~Ticket() { Release(); }

    // Holds `bytes` more, or RESOURCE_EXHAUSTED (TOO_BUSY) and holds what it held.
    absl::Status AddBytes(size_t bytes);
    // Gives back `bytes`, of those added.
    void RemoveBytes(size_t bytes);

   private:
    friend class CallGate;
    explicit Ticket(CallGate* gate) : gate_(gate) {}
    void Release();

    CallGate* gate_ = nullptr;
    size_t bytes_ = 0;
  };

  explicit CallGate(const CallLimits& limits) : limits_(limits) {}
  CallGate(const CallGate&) = delete;
  CallGate& operator=(const CallGate&) = delete;

  // Lets a call in. RESOURCE_EXHAUSTED (TOO_BUSY) beyond calls_max; UNAVAILABLE (DRAINING) once
  // StartDraining was called. The gate must outlive the ticket.
  absl::StatusOr<Ticket> Enter();

  // From now on nobody enters.
  void StartDraining() { draining_.store(true); }
  bool draining() const { return draining_.load(); }
  // After StartDraining: waits until nobody is inside, for `timeout` at most.
  void AwaitIdle(absl::Duration timeout) ABSL_LOCKS_EXCLUDED(idle_mutex_);

  // Calls that hold a ticket, and their bytes.
  size_t call_count() const { return calls_.load(std::memory_order_relaxed); }
  size_t byte_count() const { return bytes_.load(std::memory_order_relaxed); }

 private:
  void Leave() ABSL_LOCKS_EXCLUDED(idle_mutex_);
  bool IsIdle() const { return calls_.load() == 0; }

  const CallLimits limits_;
  std::atomic<size_t> calls_ = 0;
  std::atomic<size_t> bytes_ = 0;
  std::atomic<bool> draining_ = false;
  absl::Mutex idle_mutex_;  // Guards nothing: it is what AwaitIdle sleeps on.
};

// UNAVAILABLE (DRAINING): what a call gets that comes, or is still open, while the node leaves.
absl::Status DrainingError();

}  // namespace slipstream::node

#endif  // SLIPSTREAM_NODE_CALL_GATE_H_
