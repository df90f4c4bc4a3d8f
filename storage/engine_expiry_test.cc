// Values that expire, in the engine: the clock is an argument.

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/random.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/engine.h"
#include "storage/entry.h"
#include "storage/memory_file_system.h"
#include "storage/options.h"
#include "storage/precondition.h"
#include "storage/testing/small_store.h"

namespace slipstream::storage {
namespace {

using base::testing::StatusIs;
using testing::AllEntries;
using ::testing::HasSubstr;
using testing::kDirectory;
using testing::Noon;
using testing::SmallOptions;

class EngineExpiryTest : public ::testing::Test {
 protected:
  void SetUp() override { Open(); }

  void Open() {
    engine_.reset();
    ASSERT_OK_AND_ASSIGN(engine_, Engine::Open(&fs_, kDirectory, options_, &rng_, nullptr));
  }

  void Sync() { ASSERT_OK(engine_->Flush(Engine::FlushMode::kSync)); }

  std::string Value(absl::string_view key, absl::Time now = Noon()) {
    const absl::StatusOr<ReadResult> read = engine_->Get(key, now);
    if (!read.ok()) return read.status().ToString();
    return read->found ? read->value : "absent";
  }

  MemoryFileSystem fs_;
  base::Random rng_{1};
  Options options_ = SmallOptions();
  std::unique_ptr<Engine> engine_;
};

TEST_F(EngineExpiryTest, AWriteCarriesItsExpiryIntoTheRecord) {
  const auto expires_at_ms = static_cast<uint64_t>(absl::ToUnixMillis(Noon())) + 1000;
  Mutation put{.key = "key", .value = "value", .expires_at_ms = expires_at_ms};
  ASSERT_OK(engine_->Write({put}, Atomicity::kEach, Noon()));
  for (int life = 0; life < 2; ++life) {
    ASSERT_OK_AND_ASSIGN(const ReadResult read, engine_->Get("key", Noon()));
    EXPECT_EQ(read.expires_at_ms, expires_at_ms);
    ASSERT_OK_AND_ASSIGN(const ReadResult again, engine_->Get("key", Noon()));
    EXPECT_EQ(again.expires_at_ms, expires_at_ms) << "from the value cache";
    EXPECT_EQ(Value("key", Noon() + absl::Milliseconds(999)), "value");
    EXPECT_EQ(Value("key", Noon() + absl::Milliseconds(1000)), "absent");
    EXPECT_EQ(AllEntries(*engine_)[0].expires_at_ms, expires_at_ms);
    Sync();
    Open();
  }
  // A later write without one takes it away; it may also be over at once.
  put.expires_at_ms = 0;
  ASSERT_OK(engine_->Write({put}, Atomicity::kEach, Noon()));
  EXPECT_EQ(Value("key", Noon() + absl::Hours(1)), "value");
  put.expires_at_ms = 1;
  ASSERT_OK(engine_->Write({put}, Atomicity::kEach, Noon()));
  EXPECT_EQ(Value("key"), "absent");
  const Mutation remove{.kind = Mutation::Kind::kDelete, .key = "key", .expires_at_ms = 1};
  EXPECT_THAT(engine_->Write({remove}, Atomicity::kEach, Noon()),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("delete that expires")));
}

TEST_F(EngineExpiryTest, APreconditionTakesAnExpiredValueForAbsent) {
  const absl::Time expiry = Noon() + absl::Seconds(1);
  const Mutation put{.key = "key",
                     .value = "1",
                     .expires_at_ms = static_cast<uint64_t>(absl::ToUnixMillis(expiry))};
  ASSERT_OK(engine_->Write({put}, Atomicity::kEach, Noon()));
  const Precondition absent{.kind = Precondition::Kind::kAbsent, .key = "key"};
  const Mutation again{.key = "key", .value = "2"};
  EXPECT_THAT(engine_->Transact({absent}, {again}, Noon()), StatusIs(absl::StatusCode::kAborted));
  EXPECT_OK(engine_->Transact({absent}, {again}, expiry));
  EXPECT_EQ(Value("key", expiry), "2");
}

}  // namespace
}  // namespace slipstream::storage
