// The tree under writers, settlers and readers in threads of their own: for ThreadSanitizer, and to
// see that no change is lost.
#include <atomic>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "base/digest.h"
#include "base/key_id.h"
#include "base/random.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "merkle/leaf.h"
#include "merkle/proof.h"
#include "merkle/testing/fake_replica.h"
#include "merkle/tree.h"
#include "merkle/tree_verify.h"

namespace slipstream::merkle {
namespace {

using ::slipstream::base::testing::IsOk;
using ::slipstream::base::testing::StatusIs;

// Short rounds: a lost change is only seen while nothing else has changed near it.
constexpr uint64_t kRounds = 60;
constexpr int kWritesPerRound = 300;

// Keys of two shards only, so that threads meet, and so many that depths change.
std::vector<base::KeyId> Pool() {
  base::Random rng(1);
  std::vector<base::KeyId> pool(600);
  for (base::KeyId& key_id : pool) {
    key_id = testing::RandomKeyId(rng);
    key_id.bytes[0] = rng.OneIn(2) ? 0x20 : 0x21;
  }
  return pool;
}

void Write(testing::FakeReplica& replica, const std::vector<base::KeyId>& pool, uint64_t round,
           uint64_t seed) {
  base::Random rng(seed);
  for (int i = 0; i < kWritesPerRound; ++i) {
    // Some rounds mostly put, some mostly erase.
    const bool grows = round / 4 % 2 == 0;
    const base::KeyId& key_id = pool[rng.Below(pool.size())];
    if (rng.OneIn(8) == grows) {
      replica.Erase(key_id);
    } else {
      replica.Set(key_id, testing::RandomRecord(rng, static_cast<base::Hlc>(i)));
    }
  }
}

void Read(testing::FakeReplica& replica, const std::vector<base::KeyId>& pool,
          const std::atomic<bool>& writing) {
  base::Random rng(99);
  while (writing.load()) {
    const base::KeyId& key_id = pool[rng.Below(pool.size())];
    replica.tree().Root();
    replica.tree().DigestOf(base::MakePrefix(key_id, static_cast<int>(rng.Below(24))));
    const auto proved = replica.tree().Prove(key_id);
    if (proved.ok()) {
      EXPECT_THAT(VerifyProof(proved->proof, key_id, proved->root), IsOk());
    } else {
      EXPECT_THAT(proved, StatusIs(absl::StatusCode::kAborted));
    }
    replica.tree().leaf_count();
    replica.tree().memory_bytes();
  }
}

void RunRound(testing::FakeReplica& replica, const std::vector<base::KeyId>& pool, uint64_t round) {
  std::atomic<bool> writing = true;
  std::thread settler([&replica, &writing] {
    while (writing.load()) replica.tree().Settle(2);
  });
  std::thread reader([&] { Read(replica, pool, writing); });
  std::vector<std::thread> writers;
  for (const uint64_t seed : {2 * round, 2 * round + 1}) {
    writers.emplace_back([&, seed] { Write(replica, pool, round, seed); });
  }
  for (std::thread& writer : writers) writer.join();
  writing = false;
  settler.join();
  reader.join();
}

TEST(TreeConcurrencyTest, NothingIsLostUnderWritersSettlersAndReaders) {
  testing::FakeReplica replica;
  const std::vector<base::KeyId> pool = Pool();
  for (uint64_t round = 0; round < kRounds; ++round) {
    RunRound(replica, pool, round);
    ASSERT_EQ(replica.tree().Root(), DigestByDefinition(replica.Leaves(), {})) << round;
    ASSERT_EQ(replica.tree().leaf_count(), replica.Leaves().size()) << round;
  }
}

}  // namespace
}  // namespace slipstream::merkle
