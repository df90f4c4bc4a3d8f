// Background work that is late: writers take a part of it, so that neither dead records nor the log
// behind the checkpoint grow without end when nobody calls Maintain often enough.

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/random.h"
#include "base/testing/status_matchers.h"
#include "gtest/gtest.h"
#include "storage/engine.h"
#include "storage/engine_stats.h"
#include "storage/memory_file_system.h"
#include "storage/options.h"
#include "storage/testing/small_store.h"

namespace slipstream::storage {
namespace {

using testing::kDirectory;
using testing::Noon;
using testing::SmallOptions;

constexpr int kKeyCount = 100;

class EngineMaintainTest : public ::testing::Test {
 protected:
  void Open(const Options& options) {
    auto engine = Engine::Open(&fs_, kDirectory, options, &rng_, /*observer=*/nullptr);
    ASSERT_OK(engine);
    engine_ = *std::move(engine);
  }

  // Puts keys drawn from a few, so that nearly every put leaves a record dead.
  void Put(int count) {
    for (int i = 0; i < count; ++i) {
      const std::string key = absl::StrCat("key-", rng_.Below(kKeyCount));
      const std::string value(200, static_cast<char>('a' + rng_.Below(26)));
      ASSERT_OK(engine_->Write({{.key = key, .value = value}}, Atomicity::kEach, Noon()));
      latest_[key] = value;
    }
  }

  // Puts a hundred times and calls Maintain once, again and again; returns the greatest `figure` of
  // the engine's that was seen.
  uint64_t GreatestWhileMaintainIsRare(uint64_t EngineStats::*figure, int round_count) {
    uint64_t greatest = 0;
    for (int round = 0; round < round_count; ++round) {
      Put(100);
      EXPECT_OK(engine_->Maintain());
      greatest = std::max(greatest, engine_->stats().*figure);
    }
    return greatest;
  }

  void CheckReads() {
    for (const auto& [key, value] : latest_) {
      const auto found = engine_->Get(key, Noon());
      ASSERT_OK(found);
      EXPECT_EQ(found->value, value) << key;
    }
  }

  base::Random rng_{7};
  MemoryFileSystem fs_;
  std::unique_ptr<Engine> engine_;
  std::map<std::string, std::string> latest_;
};

// Without help each of the 8,000 puts stays: 5,760 KiB of segments, 200 times what is live.
TEST_F(EngineMaintainTest, WritersKeepTheLogShortWhenMaintainIsCalledRarely) {
  Options options = SmallOptions();
  options.compression = Compression::kNone;
  options.compaction_step_bytes = 4096;
  Open(options);
  EXPECT_LT(GreatestWhileMaintainIsRare(&EngineStats::log_bytes, 80), 20 * kKeyCount * 300);
  EXPECT_GT(engine_->stats().compacted_segment_count, 20);
  CheckReads();
}

// Without help there is no checkpoint: all 40 calls prepare segments.
TEST_F(EngineMaintainTest, WritersTakeALateCheckpoint) {
  Options options = SmallOptions();
  options.compression = Compression::kNone;
  options.compaction_step_bytes = 4096;
  options.checkpoint_bytes = 16384;
  Open(options);
  EXPECT_LT(GreatestWhileMaintainIsRare(&EngineStats::replay_bytes, 40),
            12 * options.checkpoint_bytes);
  EXPECT_GT(engine_->stats().checkpoint_count, 10);
  CheckReads();
}

}  // namespace
}  // namespace slipstream::storage
