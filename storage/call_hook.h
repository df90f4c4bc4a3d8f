// CallHook: lets a test in at the start of a call.
#ifndef SLIPSTREAM_STORAGE_CALL_HOOK_H_
#define SLIPSTREAM_STORAGE_CALL_HOOK_H_

#include <functional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace slipstream::storage {

// Thread-safe.
class CallHook {
 public:
  // From now on Run calls `function`; empty: nothing.
  void Set(std::function<void()> function) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    function_ = std::move(function);
  }

  // Calls under no lock: the function may block, and calls of different threads overlap.
  void Run() const ABSL_LOCKS_EXCLUDED(mutex_) {
    std::function<void()> function;
    {
      absl::MutexLock lock(&mutex_);
      function = function_;
    }
    if (function) function();
  }

 private:
  mutable absl::Mutex mutex_;
  std::function<void()> function_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_CALL_HOOK_H_
