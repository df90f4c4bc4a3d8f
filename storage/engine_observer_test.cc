// State derived from the entries that is kept with checkpoints: after a restart its keeper hears of
// exactly the keys that it has to.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "base/key_id.h"
#include "base/random.h"
#include "base/testing/status_matchers.h"
#include "base/version.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/change_observer.h"
#include "storage/engine.h"
#include "storage/entry.h"
#include "storage/file_system.h"
#include "storage/index_file.h"
#include "storage/memory_file_system.h"
#include "storage/options.h"
#include "storage/testing/small_store.h"

namespace slipstream::storage {
namespace {

using testing::AllEntries;
using testing::ColdOptions;
using ::testing::IsEmpty;
using testing::kDirectory;
using testing::Noon;

constexpr size_t kSavedKeyBytes = base::kKeyIdBytes + sizeof(base::Hlc) + 1;

// Derives the HLC of each key from the entries, and brings it up to date when it is told to: what
// changed meanwhile is out of date, as in a Merkle tree. Thread-safe.
class FakeTree : public ChangeObserver {
 public:
  void OnChange(const base::KeyId& key_id) override {
    absl::MutexLock lock(&mutex_);
    dirty_.insert(key_id);
    named_.insert(key_id);
  }

  std::string Save(uint8_t shard) override {
    absl::MutexLock lock(&mutex_);
    const base::KeyRange range = base::RangeOf(base::MakePrefix({.bytes = {shard}}, 8));
    std::set<base::KeyId> key_ids(dirty_.lower_bound(range.first), dirty_.upper_bound(range.last));
    for (auto next = hlcs_.lower_bound(range.first);
         next != hlcs_.end() && next->first <= range.last; ++next) {
      key_ids.insert(next->first);
    }
    std::string saved = "saved";
    for (const base::KeyId& key_id : key_ids) {
      const auto found = hlcs_.find(key_id);
      const base::Hlc hlc = found == hlcs_.end() ? 0 : found->second;
      absl::StrAppend(&saved, key_id.view());
      saved.append(reinterpret_cast<const char*>(&hlc), sizeof(hlc));
      saved.push_back(dirty_.count(key_id) != 0 ? 'd' : 'c');
    }
    return saved;
  }

  bool Load(uint8_t shard, absl::string_view saved) override {
    absl::MutexLock lock(&mutex_);
    if (refused_.count(shard) != 0 || saved.substr(0, 5) != "saved") return false;
    loaded_.insert(shard);
    for (saved.remove_prefix(5); !saved.empty(); saved.remove_prefix(kSavedKeyBytes)) {
      base::KeyId key_id;
      std::memcpy(key_id.bytes.data(), saved.data(), base::kKeyIdBytes);
      base::Hlc hlc = 0;
      std::memcpy(&hlc, saved.data() + base::kKeyIdBytes, sizeof(hlc));
      if (hlc != 0) hlcs_[key_id] = hlc;
      if (saved[kSavedKeyBytes - 1] == 'd') dirty_.insert(key_id);
    }
    return true;
  }

  // Reads what is out of date.
  void Settle(Engine& engine) {
    const std::set<base::KeyId> dirty = [this] {
      absl::MutexLock lock(&mutex_);
      return std::exchange(dirty_, {});
    }();
    for (const base::KeyId& key_id : dirty) {
      base::Hlc hlc = 0;
      EXPECT_OK(engine.VisitEntries({.first = key_id, .last = key_id}, [&hlc](const Entry& entry) {
        hlc = entry.version.hlc;
        return true;
      }));
      absl::MutexLock lock(&mutex_);
      hlcs_.erase(key_id);
      if (hlc != 0) hlcs_[key_id] = hlc;
    }
  }

  std::map<base::KeyId, base::Hlc> hlcs() const {
    absl::MutexLock lock(&mutex_);
    return hlcs_;
  }
  std::set<base::KeyId> TakeNamed() {
    absl::MutexLock lock(&mutex_);
    return std::exchange(named_, {});
  }
  size_t loaded_count() const {
    absl::MutexLock lock(&mutex_);
    return loaded_.size();
  }
  void Refuse(uint8_t shard) {
    absl::MutexLock lock(&mutex_);
    refused_.insert(shard);
  }

 private:
  mutable absl::Mutex mutex_;
  std::map<base::KeyId, base::Hlc> hlcs_ ABSL_GUARDED_BY(mutex_);
  std::set<base::KeyId> dirty_ ABSL_GUARDED_BY(mutex_);
  std::set<base::KeyId> named_ ABSL_GUARDED_BY(mutex_);  // By OnChange, since the last look.
  std::set<uint8_t> loaded_ ABSL_GUARDED_BY(mutex_);
  std::set<uint8_t> refused_ ABSL_GUARDED_BY(mutex_);
};

constexpr int kKeyCount = 300;

class EngineObserverTest : public ::testing::Test {
 protected:
  void SetUp() override { Open(); }

  // Opens with a new observer, as a new process would.
  void Open(const std::vector<uint8_t>& refused = {}) {
    engine_.reset();
    tree_ = std::make_unique<FakeTree>();
    for (const uint8_t shard : refused) tree_->Refuse(shard);
    ASSERT_OK_AND_ASSIGN(engine_, Engine::Open(&fs_, kDirectory, options_, &rng_, tree_.get()));
  }

  void Put(absl::string_view key) {
    const Mutation put{.key = key, .value = "value"};
    ASSERT_OK(engine_->Write({put}, Atomicity::kEach, Noon()));
    changed_.insert(base::KeyIdOf(key));
  }
  void Delete(absl::string_view key) {
    const Mutation deletion{.kind = Mutation::Kind::kDelete, .key = key};
    ASSERT_OK(engine_->Write({deletion}, Atomicity::kEach, Noon()));
    changed_.insert(base::KeyIdOf(key));
  }

  // Puts all keys, and steps until all of them are in a checkpoint.
  void PutAllAndCheckpoint() {
    for (int i = 0; i < kKeyCount; ++i) Put(absl::StrCat("key", i));
    for (bool more = true; more;) {
      ASSERT_OK_AND_ASSIGN(more, engine_->Maintain());
    }
    ASSERT_EQ(engine_->stats().dirty_count, 0u);
    changed_.clear();
  }

  void Kill() {
    ASSERT_OK(engine_->Flush(Engine::FlushMode::kSync));
    engine_.reset();
    fs_.Kill();
  }

  void ExpectTreeIsRight() {
    tree_->Settle(*engine_);
    std::map<base::KeyId, base::Hlc> expected;
    for (const Entry& entry : AllEntries(*engine_)) expected[entry.key_id] = entry.version.hlc;
    EXPECT_EQ(tree_->hlcs(), expected);
  }

  MemoryFileSystem fs_;
  base::Random rng_{1};
  Options options_ = ColdOptions();
  std::unique_ptr<FakeTree> tree_;
  std::unique_ptr<Engine> engine_;
  std::set<base::KeyId> changed_;  // Since the checkpoint.
};

TEST_F(EngineObserverTest, ANewStoreHasNothingToLoad) {
  EXPECT_EQ(tree_->loaded_count(), 0u);
  EXPECT_THAT(tree_->TakeNamed(), IsEmpty());
}

TEST_F(EngineObserverTest, AfterACleanEndNothingIsNamed) {
  PutAllAndCheckpoint();
  tree_->Settle(*engine_);
  Put("one more");
  // Enough that the end is worth a checkpoint.
  for (int i = 0; i < 20; ++i) Put(absl::StrCat("key", i));
  ASSERT_OK(engine_->Close());
  Open();
  EXPECT_EQ(tree_->loaded_count(), static_cast<size_t>(base::kShardCount));
  EXPECT_THAT(tree_->TakeNamed(), IsEmpty());
  ExpectTreeIsRight();
  EXPECT_EQ(tree_->hlcs().size(), size_t{kKeyCount} + 1);
}

TEST_F(EngineObserverTest, AfterAKillOnlyWhatChangedSinceTheCheckpointIsNamed) {
  PutAllAndCheckpoint();
  Put("key7");
  Delete("key8");
  Put("new");
  Kill();
  Open();
  EXPECT_EQ(tree_->loaded_count(), static_cast<size_t>(base::kShardCount));
  EXPECT_EQ(tree_->TakeNamed(), changed_);
  ExpectTreeIsRight();
}

TEST_F(EngineObserverTest, WhatWasOutOfDateAtTheCheckpointStillIsAfterIt) {
  // Never settled: at the checkpoint everything is out of date.
  PutAllAndCheckpoint();
  Kill();
  Open();
  EXPECT_THAT(tree_->TakeNamed(), IsEmpty());
  ExpectTreeIsRight();
  EXPECT_EQ(tree_->hlcs().size(), size_t{kKeyCount});
}

TEST_F(EngineObserverTest, OfAShardThatCannotBeLoadedEveryKeyIsNamed) {
  PutAllAndCheckpoint();
  Put("new");
  Kill();
  const std::vector<uint8_t> refused = {base::KeyIdOf("key1").shard(),
                                        base::KeyIdOf("key2").shard()};
  Open(refused);
  std::set<base::KeyId> expected = changed_;
  for (const Entry& entry : AllEntries(*engine_)) {
    if (entry.key_id.shard() == refused[0] || entry.key_id.shard() == refused[1]) {
      expected.insert(entry.key_id);
    }
  }
  EXPECT_GT(expected.size(), 2u);
  EXPECT_EQ(tree_->TakeNamed(), expected);
  ExpectTreeIsRight();
}

TEST_F(EngineObserverTest, WithoutACheckpointEveryKeyIsNamed) {
  PutAllAndCheckpoint();
  Put("new");
  Kill();
  ASSERT_OK(fs_.Remove(JoinPath(kDirectory, kIndexFileName)));
  Open();
  EXPECT_EQ(tree_->loaded_count(), 0u);
  EXPECT_EQ(tree_->TakeNamed().size(), size_t{kKeyCount} + 1);
  ExpectTreeIsRight();
}

// Whatever came before, what is derived after a restart is what the entries say.
TEST_F(EngineObserverTest, AfterAnyCourseTheDerivedStateIsRight) {
  for (int round = 0; round < 300; ++round) {
    SCOPED_TRACE(round);
    for (uint64_t i = rng_.Below(20); i > 0; --i) {
      const std::string key = absl::StrCat("key", rng_.Below(kKeyCount));
      if (rng_.OneIn(4)) {
        Delete(key);
      } else {
        Put(key);
      }
    }
    for (uint64_t i = rng_.Below(12); i > 0; --i) ASSERT_OK(engine_->Maintain());
    if (rng_.OneIn(3)) tree_->Settle(*engine_);
    if (rng_.OneIn(3)) ASSERT_OK(engine_->Flush(Engine::FlushMode::kWrite));
    if (!rng_.OneIn(4)) continue;
    if (rng_.OneIn(3)) {
      ASSERT_OK(engine_->Close());
      engine_.reset();
    } else {
      engine_.reset();
      fs_.Crash(&rng_);
    }
    Open();
    ExpectTreeIsRight();
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace slipstream::storage
