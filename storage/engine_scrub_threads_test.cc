// Scrubbing beside writers, readers, flushes and background work; run with --config=tsan as well.

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/random.h"
#include "base/testing/status_matchers.h"
#include "gtest/gtest.h"
#include "storage/engine.h"
#include "storage/entry.h"
#include "storage/file_system.h"
#include "storage/memory_file_system.h"
#include "storage/options.h"
#include "storage/segment.h"
#include "storage/testing/small_store.h"

namespace slipstream::storage {
namespace {

using base::testing::StatusIs;
using testing::ColdOptions;
using testing::kDirectory;
using testing::Noon;
using testing::SmallOptions;

constexpr int kWriterCount = 2;
constexpr int kKeysPerWriter = 30;
constexpr uint64_t kWriteCount = 1500;  // Of each writer.
constexpr uint64_t kPassCount = 3;

class EngineScrubThreadsTest : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    Options options = GetParam() ? ColdOptions() : SmallOptions();
    options.scrub_step_bytes = 8192;
    ASSERT_OK_AND_ASSIGN(engine_, Engine::Open(&fs_, kDirectory, options, &rng_, nullptr));
    Put("damaged", "a value that nobody replaces");
    for (int i = 0; i < 200; ++i) Put(absl::StrCat("filler", i), std::string(100, 'f'));
    SLIP_CHECK_OK(engine_->Flush(Engine::FlushMode::kSync).status());
    const std::string path = JoinPath(kDirectory, SegmentFileName(1));
    const size_t offset = fs_.Contents(path).find("a value that nobody replaces");
    ASSERT_NE(offset, std::string::npos);
    fs_.FlipBit(path, offset, 0);
  }

  void Put(const std::string& key, const std::string& value) {
    const Mutation put{.key = key, .value = value};
    SLIP_CHECK_OK(engine_->Write({put}, Atomicity::kEach, Noon()).status());
  }

  void WriteAll(int writer) {
    for (uint64_t i = 0; i < kWriteCount; ++i) {
      const std::string key = absl::StrCat("key", writer, "-", i % kKeysPerWriter);
      const std::string value = absl::StrCat(i, std::string(i % 300, 'v'));
      Put(key, value);
      SLIP_CHECK(engine_->Get(key, Noon())->value == value);
    }
  }

  MemoryFileSystem fs_;
  base::Random rng_{1};
  std::unique_ptr<Engine> engine_;
};

TEST_P(EngineScrubThreadsTest, WhatIsSoundStaysAndWhatIsDamagedGoes) {
  std::atomic<bool> done{false};
  std::atomic<int> finished_count{0};
  std::vector<std::thread> threads;
  for (int writer = 0; writer < kWriterCount; ++writer) {
    threads.emplace_back([&, writer] {
      WriteAll(writer);
      ++finished_count;
    });
  }
  threads.emplace_back([&] {
    while (!done) SLIP_CHECK_OK(engine_->Flush(Engine::FlushMode::kSync).status());
  });
  threads.emplace_back([&] {
    while (!done) SLIP_CHECK_OK(engine_->Maintain().status());
  });
  while (finished_count < kWriterCount || engine_->stats().scrub_pass_count < kPassCount) {
    SLIP_CHECK_OK(engine_->Scrub().status());
  }
  done = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(engine_->stats().scrub_damaged_key_count, 1u);
  EXPECT_EQ(engine_->stats().scrub_damaged_count, 1u);
  EXPECT_EQ(engine_->stats().damaged_key_count, 1u);
  EXPECT_THAT(engine_->Get("damaged", Noon()), StatusIs(absl::StatusCode::kDataLoss));
}

INSTANTIATE_TEST_SUITE_P(All, EngineScrubThreadsTest, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "Cold" : "Hot"; });

}  // namespace
}  // namespace slipstream::storage
