#include "node/open_transactions.h"

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/error_reason.h"
#include "node/real_clock.h"

namespace slipstream::node {

OpenTransactions::OpenTransactions(const TransactionLimits& limits) : limits_(limits) {
  thread_ = std::thread([this] { Run(); });
}

OpenTransactions::~OpenTransactions() {
  {
    absl::MutexLock lock(&mutex_);
    SLIP_CHECK(transactions_.empty());
    stopping_ = true;
  }
  thread_.join();
}

absl::Status OpenTransactions::Add(WatchedTransaction* transaction) {
  absl::MutexLock lock(&mutex_);
  if (transactions_.size() >= limits_.open_max) {
    return base::WithReason(absl::ResourceExhaustedError(absl::StrCat(
                                transactions_.size(), " transactions are open, of at most ",
                                limits_.open_max, "; try again later")),
                            base::kReasonTooBusy);
  }
  transactions_.insert(transaction);
  return absl::OkStatus();
}

void OpenTransactions::Remove(WatchedTransaction* transaction) {
  absl::MutexLock lock(&mutex_);
  transactions_.erase(transaction);
}

size_t OpenTransactions::count() const {
  absl::MutexLock lock(&mutex_);
  return transactions_.size();
}

void OpenTransactions::Run() {
  absl::MutexLock lock(&mutex_);
  while (!mutex_.AwaitWithTimeout(absl::Condition(&stopping_), limits_.idle_timeout / 4)) {
    // Under the lock, so that they are there meanwhile.
    for (WatchedTransaction* transaction : transactions_) {
      transaction->EndIfIdle(SteadyNow(), limits_.idle_timeout);
    }
  }
}

}  // namespace slipstream::node
