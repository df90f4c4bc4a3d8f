#include "storage/value_cache.h"

#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/key_id.h"
#include "base/random.h"
#include "gtest/gtest.h"

namespace slipstream::storage {
namespace {

constexpr uint64_t kCacheBytes = 4 << 20;

// Record `number`, of a key of its own, in the order of the log.
std::string KeyOf(uint64_t number) { return absl::StrCat("key-", number); }

ValueCache::Place PlaceOf(uint64_t number) {
  return {.key_id = base::KeyIdOf(KeyOf(number)),
          .location = {.segment_number = static_cast<uint32_t>(1 + number / 1000),
                       .offset = static_cast<uint32_t>(4096 + number % 1000 * 512)}};
}

std::string ValueOf(uint64_t number) { return absl::StrCat(number, std::string(300, 'v')); }

// As a Get does: looks, and keeps what it had to read. Returns whether it was there.
bool Read(ValueCache& cache, uint64_t number) {
  const absl::optional<std::string> found = cache.Find(PlaceOf(number), KeyOf(number));
  if (found.has_value()) {
    SLIP_CHECK(*found == ValueOf(number));
    return true;
  }
  cache.Insert(PlaceOf(number), KeyOf(number), ValueOf(number));
  return false;
}

TEST(ValueCacheTest, GivesBackWhatWasKept) {
  ValueCache cache(kCacheBytes);
  EXPECT_FALSE(Read(cache, 1));
  EXPECT_TRUE(Read(cache, 1));
  EXPECT_FALSE(cache.Find(PlaceOf(1), "another key").has_value());
  ValueCache::Place elsewhere = PlaceOf(1);
  ++elsewhere.location.offset;
  EXPECT_FALSE(cache.Find(elsewhere, KeyOf(1)).has_value());
  EXPECT_EQ(cache.stats().hit_count, 1u);
  EXPECT_EQ(cache.stats().miss_count, 3u);
  cache.Insert(PlaceOf(2), KeyOf(2), "");
  EXPECT_EQ(cache.Find(PlaceOf(2), KeyOf(2)), "");
}

TEST(ValueCacheTest, FollowsARecordThatMoves) {
  ValueCache cache(kCacheBytes);
  cache.Move(PlaceOf(1), PlaceOf(2).location);  // It keeps nothing yet.
  for (uint64_t number = 0; number < 5000; ++number) Read(cache, number);
  const uint64_t bytes = cache.stats().bytes;
  for (uint64_t number = 0; number < 5000; ++number) {
    const ValueCache::Place from = PlaceOf(number);
    const Location to{.segment_number = 100 + from.location.segment_number,
                      .offset = from.location.offset};
    cache.Move(from, to);
    EXPECT_FALSE(cache.Find(from, KeyOf(number)).has_value());
    EXPECT_EQ(cache.Find({.key_id = from.key_id, .location = to}, KeyOf(number)), ValueOf(number));
  }
  EXPECT_EQ(cache.stats().bytes, bytes);
}

TEST(ValueCacheTest, StaysBelowItsBytesAndUsesThem) {
  ValueCache cache(kCacheBytes);
  EXPECT_EQ(cache.stats().bytes, 0u);
  base::Random rng(1);
  for (int i = 0; i < 50'000; ++i) {
    Read(cache, rng.Below(30'000));
    if (i % 1000 == 0) ASSERT_LE(cache.stats().bytes, kCacheBytes);
  }
  EXPECT_LE(cache.stats().bytes, kCacheBytes);
  EXPECT_GT(cache.stats().bytes, kCacheBytes * 9 / 10);
}

TEST(ValueCacheTest, ValuesAboveASixteenthOfAPartAreNotKept) {
  ValueCache cache(kCacheBytes);
  // Of a key of 3 bytes; 40 more are the item's and 8 the allocator's.
  const uint64_t largest = kCacheBytes / ValueCache::kPartCount / 16 - 3 - 40 - 8;
  const ValueCache::Place place{.key_id = base::KeyIdOf("key"), .location = {1, 4160}};
  cache.Insert(place, "key", std::string(largest + 1, 'v'));
  EXPECT_FALSE(cache.Find(place, "key").has_value());
  cache.Insert(place, "key", std::string(largest, 'v'));
  EXPECT_TRUE(cache.Find(place, "key").has_value());
}

TEST(ValueCacheTest, TinyAndSwitchedOffCachesKeepNothing) {
  for (const uint64_t bytes_max : {0, 1, 32, 1000, 20'000}) {
    ValueCache cache(bytes_max);
    EXPECT_EQ(cache.is_on(), bytes_max >= ValueCache::kPartCount);
    for (int i = 0; i < 100; ++i) EXPECT_FALSE(Read(cache, i % 3));
    EXPECT_EQ(cache.stats().bytes, 0u);
  }
}

// With one queue for all, or one ordered by last use, the scan leaves nothing of what is in use.
TEST(ValueCacheTest, AScanDoesNotPushOutWhatIsInUse) {
  ValueCache cache(kCacheBytes);
  constexpr uint64_t kInUse = 3000;  // About a quarter of the cache.
  for (int round = 0; round < 4; ++round) {
    for (uint64_t number = 0; number < kInUse; ++number) Read(cache, number);
  }
  for (uint64_t number = 0; number < 100'000; ++number) Read(cache, 1'000'000 + number);
  uint64_t kept_count = 0;
  for (uint64_t number = 0; number < kInUse; ++number) {
    kept_count += cache.Find(PlaceOf(number), KeyOf(number)).has_value() ? 1 : 0;
  }
  EXPECT_GT(kept_count, kInUse * 95 / 100);
}

TEST(ValueCacheTest, WhatComesBackSoonEntersTheMainQueue) {
  ValueCache cache(kCacheBytes);
  uint64_t next = 1'000'000;
  const auto scan = [&cache, &next](int count) {
    for (int i = 0; i < count; ++i) Read(cache, next++);
  };
  // Most of the cache is in the main queue, so that the small one passes a scan through.
  for (uint64_t number = 0; number < 8000 * 3; ++number) Read(cache, number / 3);
  scan(12'000);
  constexpr uint64_t kFirst = 500'000;
  constexpr uint64_t kCount = 300;
  for (uint64_t number = kFirst; number < kFirst + kCount; ++number) Read(cache, number);
  scan(4000);
  for (uint64_t number = kFirst; number < kFirst + kCount; ++number) {
    ASSERT_FALSE(Read(cache, number)) << "the scan was too short to push it out";
  }
  scan(4000);
  uint64_t kept_count = 0;
  for (uint64_t number = kFirst; number < kFirst + kCount; ++number) {
    kept_count += cache.Find(PlaceOf(number), KeyOf(number)).has_value() ? 1 : 0;
  }
  // A ghost may have lost its place to a later one.
  EXPECT_GT(kept_count, kCount / 2);
}

TEST(ValueCacheTest, ManyThreadsReadOnlyWhatWasInserted) {
  constexpr uint64_t kBytes = 1 << 20;
  ValueCache cache(kBytes);
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 8; ++t) {
    threads.emplace_back([&cache, t] {
      base::Random rng(t + 1);
      // Read checks each value; keys overlap among threads, and evictions never cease.
      for (int i = 0; i < 20'000; ++i) Read(cache, rng.Below(1 + rng.Below(8000)));
      SLIP_CHECK(cache.stats().bytes <= kBytes);
    });
  }
  for (std::thread& thread : threads) thread.join();
  const ValueCacheStats stats = cache.stats();
  EXPECT_EQ(stats.hit_count + stats.miss_count, 8u * 20'000u);
  EXPECT_GT(stats.hit_count, 1000u);
}

}  // namespace
}  // namespace slipstream::storage
