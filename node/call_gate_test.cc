#include "node/call_gate.h"

#include <optional>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/error_reason.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace slipstream::node {
namespace {

using base::testing::StatusIs;
using ::testing::HasSubstr;

TEST(CallGateTest, LetsCallsInUpToTheLimit) {
  CallGate gate({.calls_max = 2});
  std::optional<absl::StatusOr<CallGate::Ticket>> first = gate.Enter();
  const absl::StatusOr<CallGate::Ticket> second = gate.Enter();
  EXPECT_OK(*first);
  EXPECT_OK(second);
  const absl::StatusOr<CallGate::Ticket> third = gate.Enter();
  EXPECT_THAT(third, StatusIs(absl::StatusCode::kResourceExhausted,
                              HasSubstr("2 calls are under way, of at most 2")));
  EXPECT_EQ(base::ReasonOf(third.status()), base::kReasonTooBusy);
  first.reset();
  EXPECT_OK(gate.Enter());
}

TEST(CallGateTest, CountsBytesUpToTheLimit) {
  CallGate gate({.bytes_max = 10});
  ASSERT_OK_AND_ASSIGN(CallGate::Ticket ticket, gate.Enter());
  EXPECT_OK(ticket.AddBytes(10));
  const absl::Status status = ticket.AddBytes(1);
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_EQ(base::ReasonOf(status), base::kReasonTooBusy);
  EXPECT_EQ(gate.byte_count(), 10u);
  ticket.RemoveBytes(4);
  EXPECT_OK(ticket.AddBytes(4));
}

TEST(CallGateTest, TicketGivesBackWhatItHoldsOnce) {
  CallGate gate({});
  {
    ASSERT_OK_AND_ASSIGN(CallGate::Ticket ticket, gate.Enter());
    EXPECT_OK(ticket.AddBytes(5));
    CallGate::Ticket moved = std::move(ticket);
    CallGate::Ticket assigned;
    assigned = std::move(moved);
    EXPECT_EQ(gate.call_count(), 1u);
    EXPECT_EQ(gate.byte_count(), 5u);
  }
  EXPECT_EQ(gate.call_count(), 0u);
  EXPECT_EQ(gate.byte_count(), 0u);
}

TEST(CallGateTest, LetsNobodyInOnceItDrains) {
  CallGate gate({});
  ASSERT_OK_AND_ASSIGN(CallGate::Ticket ticket, gate.Enter());
  gate.StartDraining();
  const absl::StatusOr<CallGate::Ticket> late = gate.Enter();
  EXPECT_THAT(late, StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_EQ(base::ReasonOf(late.status()), base::kReasonDraining);
  EXPECT_OK(ticket.AddBytes(1));  // Who is inside goes on.
}

TEST(CallGateTest, AwaitIdleReturnsWhenTheLastCallLeaves) {
  CallGate gate({});
  absl::StatusOr<CallGate::Ticket> ticket = gate.Enter();
  ASSERT_OK(ticket);
  gate.StartDraining();
  gate.AwaitIdle(absl::Milliseconds(1));
  EXPECT_EQ(gate.call_count(), 1u);
  std::thread leaver([ticket = *std::move(ticket)] {});
  gate.AwaitIdle(absl::InfiniteDuration());
  EXPECT_EQ(gate.call_count(), 0u);
  leaver.join();
}

}  // namespace
}  // namespace slipstream::node
