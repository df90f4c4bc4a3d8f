#include "tests/bench/workload/measure.h"

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/bench/data_set.h"
#include "tests/bench/engine/engine_under_test.h"

namespace slipstream::bench {
namespace {

using ::slipstream::base::testing::StatusIs;

using Table = std::map<std::string, std::string, std::less<>>;

// A map; for one thread, or several that only read.
class MapSession final : public EngineSession {
 public:
  explicit MapSession(Table* table) : table_(table) {}
  absl::Status Put(absl::string_view key, absl::string_view value) override {
    (*table_)[std::string(key)] = std::string(value);
    return absl::OkStatus();
  }
  absl::StatusOr<absl::string_view> Get(absl::string_view key) override {
    const auto found = table_->find(std::string(key));
    if (found == table_->end()) return absl::NotFoundError("no such key");
    return found->second;
  }

 private:
  Table* const table_;
};

class MapEngine final : public EngineUnderTest {
 public:
  std::unique_ptr<EngineSession> NewSession() override {
    return std::make_unique<MapSession>(&table);
  }
  absl::Status Close() override { return absl::OkStatus(); }

  Table table;
};

TEST(MeasureTest, OperationsAreSharedOutAndCountedOnce) {
  MapEngine engine;
  TimedPart part;
  std::atomic<int> done = 0;
  const auto make_operation = [&done](size_t) {
    return [&done](EngineSession&) {
      ++done;
      return absl::OkStatus();
    };
  };
  ASSERT_OK(RunThreads(engine, 3, 100, make_operation, part));
  ASSERT_OK(RunThreads(engine, 3, 7, make_operation, part));
  EXPECT_EQ(done, 107);
  EXPECT_EQ(part.operation_count, 107u);
  EXPECT_EQ(part.latencies.count(), 107u);
  EXPECT_GT(part.seconds, 0);
}

TEST(MeasureTest, AnErrorOfAnyThreadIsReturned) {
  MapEngine engine;
  TimedPart part;
  const auto make_operation = [](size_t thread_index) {
    return [thread_index](EngineSession&) {
      return thread_index == 1 ? absl::DataLossError("") : absl::OkStatus();
    };
  };
  EXPECT_THAT(RunThreads(engine, 2, 10, make_operation, part),
              StatusIs(absl::StatusCode::kDataLoss));
}

TEST(MeasureTest, ShuffledIndexesAreEachThereOnceAndInAnotherOrder) {
  for (const uint64_t count : {1u, 2u, 500u, 4096u}) {
    for (const uint32_t generation : {0u, 1u, 2u, 3u}) {
      std::set<uint64_t> seen;
      uint64_t steps_of_one = 0;
      for (uint64_t position = 0; position < count; ++position) {
        const uint64_t index = ShuffledIndex(position, count, generation);
        EXPECT_LT(index, count);
        seen.insert(index);
        if (index == ShuffledIndex(position + 1, count, generation) - 1) ++steps_of_one;
      }
      EXPECT_EQ(seen.size(), count);
      if (count > 2) EXPECT_LT(steps_of_one, count / 10) << count << " " << generation;
    }
  }
}

TEST(MeasureTest, FillPutsAllKeysAndVerifyingSeesEveryOther) {
  MapEngine engine;
  const DataSet data(DataSet::Kind::kIncompressible, 100);
  ASSERT_OK(Fill(engine, data, 0, 1'234));
  EXPECT_EQ(engine.table.size(), 1'234u);
  EXPECT_OK(VerifySample(engine, data, {.key_count = 1'234}));
  EXPECT_THAT(VerifySample(engine, data, {.key_count = 1'234, .generation = 1}),
              StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(VerifySample(engine, data, {.key_count = 1'235}),
              StatusIs(absl::StatusCode::kNotFound));

  engine.table[std::string(BenchKey(700).view())] = std::string(data.ValueOf(701));
  EXPECT_THAT(VerifySample(engine, data, {.key_count = 1'234}),
              StatusIs(absl::StatusCode::kDataLoss));
  const std::unique_ptr<EngineSession> session = engine.NewSession();
  EXPECT_THAT(GetAndVerify(*session, data, 700), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_OK(GetAndVerify(*session, data, 701));
}

}  // namespace
}  // namespace slipstream::bench
