// GoogleTest matchers and macros for absl::Status and absl::StatusOr, which Abseil 20220623 lacks.
//
// EXPECT_THAT(engine.Get("k"), StatusIs(absl::StatusCode::kNotFound)): tests name the exact code.
#ifndef SLIPSTREAM_BASE_TESTING_STATUS_MATCHERS_H_
#define SLIPSTREAM_BASE_TESTING_STATUS_MATCHERS_H_

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace slipstream::base::testing {

inline const absl::Status& GetStatus(const absl::Status& status) { return status; }

template <typename T>
const absl::Status& GetStatus(const absl::StatusOr<T>& statusor) {
  return statusor.status();
}

// Matches an OK absl::Status or absl::StatusOr.
MATCHER(IsOk, negation ? "is not OK" : "is OK") {
  *result_listener << "which is " << GetStatus(arg).ToString();
  return GetStatus(arg).ok();
}

// Matches a Status or StatusOr with exactly `code`.
MATCHER_P(StatusIs, code, "has status code " + absl::StatusCodeToString(code)) {
  *result_listener << "which is " << GetStatus(arg).ToString();
  return GetStatus(arg).code() == code;
}

// Matches a Status or StatusOr with exactly `code` and a message that matches `message`.
MATCHER_P2(StatusIs, code, message, "has status code " + absl::StatusCodeToString(code)) {
  *result_listener << "which is " << GetStatus(arg).ToString();
  return GetStatus(arg).code() == code &&
         ::testing::Matches(message)(std::string(GetStatus(arg).message()));
}

// Matches an OK StatusOr whose value matches `value`.
MATCHER_P(IsOkAndHolds, value, "is OK and holds a value that matches") {
  *result_listener << "which is " << GetStatus(arg).ToString();
  return arg.ok() && ::testing::ExplainMatchResult(value, *arg, result_listener);
}

}  // namespace slipstream::base::testing

#define EXPECT_OK(expression) EXPECT_THAT(expression, ::slipstream::base::testing::IsOk())
#define ASSERT_OK(expression) ASSERT_THAT(expression, ::slipstream::base::testing::IsOk())

#define SLIP_TEST_CONCAT_INNER(a, b) a##b
#define SLIP_TEST_CONCAT(a, b) SLIP_TEST_CONCAT_INNER(a, b)
#define SLIP_ASSERT_OK_AND_ASSIGN_INNER(statusor, target, expression) \
  auto statusor = (expression);                                       \
  ASSERT_OK(statusor);                                                \
  target = *std::move(statusor)

// Ends the test unless `expression`, a StatusOr, is OK; assigns its value to `target`.
#define ASSERT_OK_AND_ASSIGN(target, expression) \
  SLIP_ASSERT_OK_AND_ASSIGN_INNER(SLIP_TEST_CONCAT(slip_statusor_, __LINE__), target, expression)

#endif  // SLIPSTREAM_BASE_TESTING_STATUS_MATCHERS_H_
