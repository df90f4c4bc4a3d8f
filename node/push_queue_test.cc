#include "node/push_queue.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/types/optional.h"
#include "gtest/gtest.h"
#include "storage/engine.h"
#include "storage/entry.h"

namespace slipstream::node {
namespace {

constexpr size_t kMessageBytes = 4096;
constexpr size_t kQueueBytes = 20'000;

storage::WriteResult ResultOf(size_t count) {
  storage::WriteResult result;
  for (size_t index = 0; index < count; ++index) {
    result.versions.push_back({.hlc = 100 + index, .actor = base::ActorId{7}});
    result.sequences.push_back(1 + index);
  }
  return result;
}

std::shared_ptr<const PushBatch> Batch(const std::vector<std::string>& values,
                                       storage::Atomicity atomicity, storage::Lsn lsn = 0) {
  std::vector<std::string> keys;
  std::vector<storage::Mutation> mutations;
  keys.reserve(values.size());
  for (const std::string& value : values) {
    keys.push_back("key" + std::to_string(keys.size()));
    mutations.push_back({.key = keys.back(), .value = value});
  }
  return std::make_shared<const PushBatch>(
      MakePushBatch(mutations, atomicity, ResultOf(values.size()), lsn));
}

class PushQueueTest : public testing::Test {
 protected:
  void SetUp() override { queue_.Open(); }

  PushQueue queue_{kQueueBytes, kMessageBytes};
};

TEST_F(PushQueueTest, ABatchKeepsWhatWasWritten) {
  const std::vector<storage::Mutation> mutations = {
      {.key = "a", .value = "1", .expires_at_ms = 5},
      {.kind = storage::Mutation::Kind::kDelete, .key = "b"}};
  const PushBatch batch = MakePushBatch(mutations, storage::Atomicity::kAll, ResultOf(2), 9);
  EXPECT_EQ(batch.release_lsn, 9);
  ASSERT_EQ(batch.groups.size(), 1);
  const std::vector<storage::Record> expected = {
      {.key = "a",
       .value = "1",
       .version = {100, base::ActorId{7}},
       .sequence = 1,
       .expires_at_ms = 5},
      {.key = "b", .version = {101, base::ActorId{7}}, .sequence = 2, .tombstone = true}};
  EXPECT_EQ(batch.groups[0], expected);
  EXPECT_EQ(MakePushBatch(mutations, storage::Atomicity::kEach, ResultOf(2), 9).groups.size(), 2);
}

TEST_F(PushQueueTest, IsEmptyAtFirst) { EXPECT_FALSE(queue_.Take().has_value()); }

TEST_F(PushQueueTest, TakesOldestFirstWithTheGreatestLsn) {
  EXPECT_EQ(queue_.Add(Batch({"1"}, storage::Atomicity::kAll, 5)), 0);
  EXPECT_EQ(queue_.Add(Batch({"2", "3"}, storage::Atomicity::kAll, 7)), 0);
  const absl::optional<PushLoad> load = queue_.Take();
  ASSERT_TRUE(load.has_value());
  EXPECT_EQ(load->release_lsn, 7);
  EXPECT_EQ(load->record_count, 3);
  ASSERT_EQ(load->request.groups.size(), 2);
  EXPECT_EQ(load->request.groups[0][0].value, "1");
  EXPECT_EQ(load->request.groups[1][1].value, "3");
  EXPECT_FALSE(queue_.Take().has_value());
}

TEST_F(PushQueueTest, CutsALoadAtTheMessageBound) {
  const std::string half(kMessageBytes / 2, 'x');
  queue_.Add(Batch({half, half, half}, storage::Atomicity::kEach, 3));
  for (int round = 0; round < 3; ++round) {
    const absl::optional<PushLoad> load = queue_.Take();
    ASSERT_TRUE(load.has_value());
    EXPECT_EQ(load->record_count, 1);
    EXPECT_EQ(load->release_lsn, 3);
  }
  EXPECT_FALSE(queue_.Take().has_value());
}

TEST_F(PushQueueTest, ARecordLargerThanAMessageGoesAlone) {
  const std::string large(kMessageBytes * 2, 'x');
  EXPECT_EQ(queue_.Add(Batch({"1", large, "2"}, storage::Atomicity::kEach)), 0);
  EXPECT_EQ(queue_.Take()->record_count, 1);
  EXPECT_EQ(queue_.Take()->request.groups[0][0].value, large);
  EXPECT_EQ(queue_.Take()->record_count, 1);
}

TEST_F(PushQueueTest, AGroupLargerThanAMessageIsGivenUpWhole) {
  const std::string half(kMessageBytes / 2, 'x');
  EXPECT_EQ(queue_.Add(Batch({half, half}, storage::Atomicity::kAll)), 2);
  EXPECT_FALSE(queue_.Take().has_value());
  EXPECT_EQ(queue_.Add(Batch({"1"}, storage::Atomicity::kAll)), 0);
  EXPECT_EQ(queue_.Take()->record_count, 1);
}

TEST_F(PushQueueTest, GivesUpWhatDoesNotFit) {
  const auto batch = Batch({std::string(3000, 'x')}, storage::Atomicity::kAll);
  uint64_t given_up = 0;
  for (int round = 0; round < 10; ++round) given_up += queue_.Add(batch);
  const uint64_t fitting = kQueueBytes / batch->bytes;
  EXPECT_EQ(given_up, 10 - fitting);
  for (uint64_t round = 0; round < fitting; ++round) EXPECT_TRUE(queue_.Take().has_value());
  EXPECT_FALSE(queue_.Take().has_value());
  EXPECT_EQ(queue_.Add(batch), 0) << "there is room again";
}

TEST_F(PushQueueTest, ClosedItTakesNothing) {
  queue_.Add(Batch({"1", "2"}, storage::Atomicity::kEach));
  EXPECT_EQ(queue_.Close(), 2);
  EXPECT_FALSE(queue_.is_open());
  EXPECT_EQ(queue_.Add(Batch({"3"}, storage::Atomicity::kEach)), 0);
  EXPECT_FALSE(queue_.Take().has_value());
  queue_.Open();
  EXPECT_FALSE(queue_.Take().has_value());
}

TEST_F(PushQueueTest, CloseCountsOnlyWhatWasNotTaken) {
  const std::string half(kMessageBytes / 2, 'x');
  queue_.Add(Batch({half, half, half}, storage::Atomicity::kEach));
  queue_.Take();
  EXPECT_EQ(queue_.Close(), 2);
}

}  // namespace
}  // namespace slipstream::node
