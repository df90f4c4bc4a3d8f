// OpenTransactions: how many transactions clients hold open, and the thread that ends those whose
// clients have gone silent. Their bytes are counted by the CallGate, like those of every call.
#ifndef SLIPSTREAM_NODE_OPEN_TRANSACTIONS_H_
#define SLIPSTREAM_NODE_OPEN_TRANSACTIONS_H_

#include <cstddef>
#include <set>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace slipstream::node {

struct TransactionLimits {
  size_t open_max = 1024;
  // Without a step for so long, a transaction is rolled back: within this and a quarter more.
  absl::Duration idle_timeout = absl::Seconds(30);
};

class WatchedTransaction {
 public:
  virtual ~WatchedTransaction() = default;
  // Ends if its client has said nothing for `idle_timeout` before `now`, of the steady clock. Must
  // not wait for that.
  virtual void EndIfIdle(absl::Duration now, absl::Duration idle_timeout) = 0;
};

// Thread-safe.
class OpenTransactions {
 public:
  // Starts the thread.
  explicit OpenTransactions(const TransactionLimits& limits);
  // All must have been removed.
  ~OpenTransactions();
  OpenTransactions(const OpenTransactions&) = delete;
  OpenTransactions& operator=(const OpenTransactions&) = delete;

  // RESOURCE_EXHAUSTED (TOO_BUSY) if there are too many.
  absl::Status Add(WatchedTransaction* transaction) ABSL_LOCKS_EXCLUDED(mutex_);
  // Does nothing if it was not added. Waits for an EndIfIdle of it that is under way.
  void Remove(WatchedTransaction* transaction) ABSL_LOCKS_EXCLUDED(mutex_);

  size_t count() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void Run() ABSL_LOCKS_EXCLUDED(mutex_);

  const TransactionLimits limits_;
  mutable absl::Mutex mutex_;
  std::set<WatchedTransaction*> transactions_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // Made by the constructor, joined by the destructor.
};

}  // namespace slipstream::node

#endif  // SLIPSTREAM_NODE_OPEN_TRANSACTIONS_H_
