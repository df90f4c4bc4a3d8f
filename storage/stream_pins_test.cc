#include "storage/stream_pins.h"

#include "gtest/gtest.h"

namespace slipstream::storage {
namespace {

TEST(StreamPinsTest, PinsAllThatMayGetARecordUntilItIsKnownWhichDid) {
  StreamPins pins;
  EXPECT_FALSE(pins.Pins(3));
  pins.Expect(1, 3);
  EXPECT_FALSE(pins.Pins(2));
  EXPECT_TRUE(pins.Pins(3));
  EXPECT_TRUE(pins.Pins(1000));
  pins.Settle(1, {4, 6});
  EXPECT_FALSE(pins.Pins(3));
  EXPECT_TRUE(pins.Pins(4));
  EXPECT_FALSE(pins.Pins(5));
  EXPECT_TRUE(pins.Pins(6));
  EXPECT_FALSE(pins.Pins(7));
}

TEST(StreamPinsTest, WhatIsPinnedTwiceIsFreeWhenBothAreOver) {
  StreamPins pins;
  pins.Settle(1, {4});
  pins.Expect(2, 4);
  pins.Settle(2, {4, 5});
  pins.Settle(2, {9});
  pins.Release(1);
  EXPECT_TRUE(pins.Pins(4));
  EXPECT_TRUE(pins.Pins(5));
  EXPECT_TRUE(pins.Pins(9));
  pins.Release(2);
  EXPECT_FALSE(pins.Pins(4));
  EXPECT_FALSE(pins.Pins(9));
  pins.Release(2);
}

}  // namespace
}  // namespace slipstream::storage
