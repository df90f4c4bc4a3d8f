// Tells ThreadSanitizer what Debian's Abseil does. The library is not instrumented, so without this
// every access under an absl::Mutex is reported as a race.
//
// BUILD.bazel passes each function to the linker's --wrap: calls from our code land here, and
// `__real_` is the function in the library. A function that is missing (ReaderLockWhen,
// ReleasableMutexLock::Release, Notification::HasBeenNotified) shows as a false report, never as a
// missed race.

#include <sanitizer/tsan_interface.h>

#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"

// A member function is called like a free one that takes `this` first, so both are declared here as
// free functions, under the member's symbol.
#define SLIP_WRAP(result, name, symbol, ...)                \
  result Real##name(__VA_ARGS__) __asm__("__real_" symbol); \
  result Wrap##name(__VA_ARGS__) __asm__("__wrap_" symbol); \
  result Wrap##name(__VA_ARGS__)

namespace slipstream::bazel {
namespace {

using absl::Condition;
using absl::CondVar;
using absl::Duration;
using absl::Mutex;
using absl::Time;

// While one of these lives, ThreadSanitizer looks away: conditions may be evaluated by any thread.
class Locking {
 public:
  explicit Locking(Mutex* mutex, unsigned flags = 0) : mutex_(mutex), flags_(flags) {
    __tsan_mutex_pre_lock(mutex_, flags_);
  }
  ~Locking() { __tsan_mutex_post_lock(mutex_, flags_, 0); }

  void SetFailed() { flags_ |= __tsan_mutex_try_lock_failed; }

 private:
  Mutex* const mutex_;
  unsigned flags_;
};

class Unlocking {
 public:
  explicit Unlocking(Mutex* mutex, unsigned flags = 0) : mutex_(mutex), flags_(flags) {
    __tsan_mutex_pre_unlock(mutex_, flags_);
  }
  ~Unlocking() { __tsan_mutex_post_unlock(mutex_, flags_); }

 private:
  Mutex* const mutex_;
  const unsigned flags_;
};

// A wait under a held mutex gives it up and takes it again.
class Waiting {
 public:
  explicit Waiting(Mutex* mutex) : locking_(Unlocked(mutex)) {}

 private:
  static Mutex* Unlocked(Mutex* mutex) {
    Unlocking unlocking(mutex);
    return mutex;
  }

  Locking locking_;
};

}  // namespace

SLIP_WRAP(void, Destroy, "_ZN4absl7debian35MutexD1Ev", Mutex* self) {
  __tsan_mutex_destroy(self, 0);
  RealDestroy(self);
}

SLIP_WRAP(void, Lock, "_ZN4absl7debian35Mutex4LockEv", Mutex* self) {
  Locking locking(self);
  RealLock(self);
}

SLIP_WRAP(bool, TryLock, "_ZN4absl7debian35Mutex7TryLockEv", Mutex* self) {
  Locking locking(self, __tsan_mutex_try_lock);
  const bool locked = RealTryLock(self);
  if (!locked) locking.SetFailed();
  return locked;
}

SLIP_WRAP(void, Unlock, "_ZN4absl7debian35Mutex6UnlockEv", Mutex* self) {
  Unlocking unlocking(self);
  RealUnlock(self);
}

SLIP_WRAP(void, ReaderLock, "_ZN4absl7debian35Mutex10ReaderLockEv", Mutex* self) {
  Locking locking(self, __tsan_mutex_read_lock);
  RealReaderLock(self);
}

SLIP_WRAP(void, ReaderUnlock, "_ZN4absl7debian35Mutex12ReaderUnlockEv", Mutex* self) {
  Unlocking unlocking(self, __tsan_mutex_read_lock);
  RealReaderUnlock(self);
}

SLIP_WRAP(void, LockWhen, "_ZN4absl7debian35Mutex8LockWhenERKNS0_9ConditionE", Mutex* self,
          const Condition& condition) {
  Locking locking(self);
  RealLockWhen(self, condition);
}

SLIP_WRAP(bool, LockWhenWithTimeout,
          "_ZN4absl7debian35Mutex19LockWhenWithTimeoutERKNS0_9ConditionENS0_8DurationE",
          Mutex* self, const Condition& condition, Duration timeout) {
  Locking locking(self);
  return RealLockWhenWithTimeout(self, condition, timeout);
}

SLIP_WRAP(bool, LockWhenWithDeadline,
          "_ZN4absl7debian35Mutex20LockWhenWithDeadlineERKNS0_9ConditionENS0_4TimeE", Mutex* self,
          const Condition& condition, Time deadline) {
  Locking locking(self);
  return RealLockWhenWithDeadline(self, condition, deadline);
}

SLIP_WRAP(void, Await, "_ZN4absl7debian35Mutex5AwaitERKNS0_9ConditionE", Mutex* self,
          const Condition& condition) {
  Waiting waiting(self);
  RealAwait(self, condition);
}

SLIP_WRAP(bool, AwaitWithTimeout,
          "_ZN4absl7debian35Mutex16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE", Mutex* self,
          const Condition& condition, Duration timeout) {
  Waiting waiting(self);
  return RealAwaitWithTimeout(self, condition, timeout);
}

SLIP_WRAP(bool, AwaitWithDeadline,
          "_ZN4absl7debian35Mutex17AwaitWithDeadlineERKNS0_9ConditionENS0_4TimeE", Mutex* self,
          const Condition& condition, Time deadline) {
  Waiting waiting(self);
  return RealAwaitWithDeadline(self, condition, deadline);
}

SLIP_WRAP(void, CondVarWait, "_ZN4absl7debian37CondVar4WaitEPNS0_5MutexE", CondVar* self,
          Mutex* mutex) {
  Waiting waiting(mutex);
  RealCondVarWait(self, mutex);
}

SLIP_WRAP(bool, CondVarWaitWithTimeout,
          "_ZN4absl7debian37CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE", CondVar* self,
          Mutex* mutex, Duration timeout) {
  Waiting waiting(mutex);
  return RealCondVarWaitWithTimeout(self, mutex, timeout);
}

SLIP_WRAP(bool, CondVarWaitWithDeadline,
          "_ZN4absl7debian37CondVar16WaitWithDeadlineEPNS0_5MutexENS0_4TimeE", CondVar* self,
          Mutex* mutex, Time deadline) {
  Waiting waiting(mutex);
  return RealCondVarWaitWithDeadline(self, mutex, deadline);
}

SLIP_WRAP(void, Notify, "_ZN4absl7debian312Notification6NotifyEv", absl::Notification* self) {
  __tsan_release(self);
  RealNotify(self);
}

SLIP_WRAP(void, WaitForNotification, "_ZNK4absl7debian312Notification19WaitForNotificationEv",
          absl::Notification* self) {
  RealWaitForNotification(self);
  __tsan_acquire(self);
}

SLIP_WRAP(bool, WaitForNotificationWithTimeout,
          "_ZNK4absl7debian312Notification30WaitForNotificationWithTimeoutENS0_8DurationE",
          absl::Notification* self, Duration timeout) {
  const bool notified = RealWaitForNotificationWithTimeout(self, timeout);
  if (notified) __tsan_acquire(self);
  return notified;
}

SLIP_WRAP(bool, WaitForNotificationWithDeadline,
          "_ZNK4absl7debian312Notification31WaitForNotificationWithDeadlineENS0_4TimeE",
          absl::Notification* self, Time deadline) {
  const bool notified = RealWaitForNotificationWithDeadline(self, deadline);
  if (notified) __tsan_acquire(self);
  return notified;
}

SLIP_WRAP(bool, DecrementCount, "_ZN4absl7debian315BlockingCounter14DecrementCountEv",
          absl::BlockingCounter* self) {
  __tsan_release(self);
  return RealDecrementCount(self);
}

SLIP_WRAP(void, CounterWait, "_ZN4absl7debian315BlockingCounter4WaitEv",
          absl::BlockingCounter* self) {
  RealCounterWait(self);
  __tsan_acquire(self);
}

}  // namespace slipstream::bazel
