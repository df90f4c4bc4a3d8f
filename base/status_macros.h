// Macros that hand an error up: the two shapes that fallible code repeats most.
//
// If an error needs a comment or more context on its way, write the `if` instead.
#ifndef SLIPSTREAM_BASE_STATUS_MACROS_H_
#define SLIPSTREAM_BASE_STATUS_MACROS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Evaluates `expression`, an absl::Status, once; returns it from the enclosing function if not OK.
#define SLIP_RETURN_IF_ERROR(expression)                                  \
  do {                                                                    \
    if (::absl::Status slip_status_ = (expression); !slip_status_.ok()) { \
      return slip_status_;                                                \
    }                                                                     \
  } while (false)

#define SLIP_STATUS_MACROS_CONCAT_INNER(a, b) a##b
#define SLIP_STATUS_MACROS_CONCAT(a, b) SLIP_STATUS_MACROS_CONCAT_INNER(a, b)
#define SLIP_ASSIGN_OR_RETURN_INNER(statusor, target, expression) \
  auto statusor = (expression);                                   \
  if (!statusor.ok()) {                                           \
    return std::move(statusor).status();                          \
  }                                                               \
  target = *std::move(statusor)

// Evaluates `expression`, an absl::StatusOr<T>, once; assigns its value to `target` (which may be a
// declaration) or returns its status from the enclosing function. Expands to several statements: do
// not use it as the body of an unbraced `if`.
#define SLIP_ASSIGN_OR_RETURN(target, expression)                                          \
  SLIP_ASSIGN_OR_RETURN_INNER(SLIP_STATUS_MACROS_CONCAT(slip_statusor_, __LINE__), target, \
                              expression)

#endif  // SLIPSTREAM_BASE_STATUS_MACROS_H_
