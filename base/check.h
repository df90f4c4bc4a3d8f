// SLIP_CHECK: assertions about the program itself, on in every build.
//
// A failed check prints one line and aborts: it turns a bug that could damage data into one that
// stops a process. The world's errors (disk, network, peers, users, bytes) are absl::Status; a
// check that outside input can reach is a security bug.
#ifndef SLIPSTREAM_BASE_CHECK_H_
#define SLIPSTREAM_BASE_CHECK_H_

#include "absl/base/optimization.h"
#include "absl/status/status.h"

namespace slipstream::base {

// Prints "file:line: check failed: condition" to stderr and aborts. Thread-safe.
[[noreturn]] void CheckFailed(const char* file, int line, const char* condition);

// Prints "file:line: check failed: expression is STATUS" to stderr and aborts. Thread-safe.
[[noreturn]] void CheckOkFailed(const char* file, int line, const char* expression,
                                const absl::Status& status);

}  // namespace slipstream::base

// Aborts unless `condition` holds.
#define SLIP_CHECK(condition)                                          \
  do {                                                                 \
    if (ABSL_PREDICT_FALSE(!(condition))) {                            \
      ::slipstream::base::CheckFailed(__FILE__, __LINE__, #condition); \
    }                                                                  \
  } while (false)

// Aborts unless `expression`, an absl::Status, is OK.
#define SLIP_CHECK_OK(expression)                                                             \
  do {                                                                                        \
    if (const ::absl::Status slip_check_status_ = (expression); !slip_check_status_.ok()) {   \
      ::slipstream::base::CheckOkFailed(__FILE__, __LINE__, #expression, slip_check_status_); \
    }                                                                                         \
  } while (false)

#endif  // SLIPSTREAM_BASE_CHECK_H_
