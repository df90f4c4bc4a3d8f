#include "tests/bench/engine/slipstream.h"

#include <cstddef>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/digest.h"
#include "base/key_id.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "merkle/leaf.h"
#include "merkle/leaf_source.h"
#include "merkle/tree.h"
#include "node/background_pace.h"
#include "node/commit_queue.h"
#include "node/heap_trimmer.h"
#include "node/real_clock.h"
#include "storage/change_observer.h"
#include "storage/engine.h"
#include "storage/entry.h"
#include "storage/options.h"
#include "storage/posix_file_system.h"

namespace slipstream::bench {
namespace {

// As node::Maintenance, but for the search for damage.
constexpr absl::Duration kMaintenancePeriod = absl::Milliseconds(50);
constexpr size_t kMaintenanceBucketsMax = 256;
// The machine's cores: who wants the root at once hashes on all of them.
constexpr size_t kSettlingThreads = 2;

storage::Options StorageOptionsFor(const EngineOptions& options) {
  storage::Options result;
  result.sync = options.durability == Durability::kEveryPut ? storage::SyncPolicy::kAlways
                                                            : storage::SyncPolicy::kNone;
  result.value_cache_bytes = options.cache_bytes;
  result.memory_limit_bytes = options.memory_limit_bytes;
  return result;
}

// Joins engine and tree as node::ReplicaStore does, and gives them the two owners that they have in
// the daemon: the commit queue itself, which flushes, and a thread for background steps.
class Slipstream final : public EngineUnderTest,
                         public storage::ChangeObserver,
                         public merkle::LeafSource {
 public:
  explicit Slipstream(const EngineOptions& options)
      : keeps_tree_(options.keeps_tree),
        waits_(options.durability == Durability::kEveryPut),
        tree_(this) {}
  ~Slipstream() override { StopOwners(); }

  absl::Status Open(const EngineOptions& options) {
    const storage::Options storage = StorageOptionsFor(options);
    SLIP_ASSIGN_OR_RETURN(
        engine_, storage::Engine::Open(&fs_, options.directory + "/data", storage, &rng_, this));
    commits_ = std::make_unique<node::CommitQueue>(
        engine_.get(), node::CommitOptions{.sync = storage.sync},
        [](const absl::Status&) { /* The engine's status, which all calls return from now on. */ });
    maintenance_ = std::thread([this] { Maintain(); });
    trimmer_ = std::make_unique<node::HeapTrimmer>(options.memory_limit_bytes);
    return absl::OkStatus();
  }

  std::unique_ptr<EngineSession> NewSession() override;

  absl::Status Write(absl::Span<const storage::Mutation> mutations) {
    SLIP_ASSIGN_OR_RETURN(const storage::WriteResult written,
                          engine_->Write(mutations, storage::Atomicity::kEach, node::WallNow()));
    size_t bytes = 0;
    for (const storage::Mutation& mutation : mutations) {
      bytes += mutation.key.size() + mutation.value.size();
    }
    commits_->NoteAppended(bytes);
    return waits_ ? commits_->AwaitDurable(written.lsn) : absl::OkStatus();
  }

  absl::Status Settle() override {
    SLIP_RETURN_IF_ERROR(
        engine_
            ->Flush(waits_ ? storage::Engine::FlushMode::kSync : storage::Engine::FlushMode::kWrite)
            .status());
    SettleTree();
    return absl::OkStatus();
  }

  absl::Status Compact() override {
    // As long as a daemon that nobody writes to would go on.
    for (size_t idle_count = 0; idle_count <= storage::Engine::kRestCalls;) {
      SLIP_ASSIGN_OR_RETURN(const bool more, engine_->Maintain());
      idle_count = more ? 0 : idle_count + 1;
    }
    return absl::OkStatus();
  }

  absl::Status SetCompaction(bool is_on) override {
    engine_->PauseCompaction(!is_on);
    return absl::OkStatus();
  }

  absl::Status Close() override {
    StopOwners();
    return engine_->Close();
  }

  EngineFigures figures() override {
    const storage::EngineStats stats = engine_->stats();
    return {.reads_are_direct = stats.io_path.direct,
            .index_bytes = stats.memory_bytes - stats.value_cache_bytes,
            .cache_hit_count = stats.value_cache_hit_count,
            .hot_key_count = stats.live_key_count + stats.tombstone_count,
            .compacted_bytes = stats.copied_bytes};
  }

  std::string Root() override {
    if (!keeps_tree_) return "";
    SettleTree();
    return base::ToHex(tree_.Root());
  }

  storage::Engine& engine() { return *engine_; }

  void OnChange(const base::KeyId& key_id) override {
    if (keeps_tree_) tree_.MarkDirty(key_id);
  }

  void VisitLeaves(const base::KeyRange& range,
                   absl::FunctionRef<bool(const merkle::Leaf&)> visit) const override {
    // An error stops the engine, and with it the workload.
    engine_
        ->VisitEntries(range,
                       [&visit](const storage::Entry& entry) {
                         if (entry.tombstone) return true;
                         return visit({.key_id = entry.key_id,
                                       .version = entry.version,
                                       .expires_at_ms = entry.expires_at_ms,
                                       .value_digest = entry.value_digest});
                       })
        .IgnoreError();
  }

  std::string Save(uint8_t shard) override { return keeps_tree_ ? tree_.Save(shard) : ""; }
  bool Load(uint8_t shard, absl::string_view saved) override {
    return !keeps_tree_ || tree_.Load(shard, saved).ok();
  }
  uint64_t memory_bytes() const override { return keeps_tree_ ? tree_.memory_bytes() : 0; }

 private:
  void SettleTree() {
    if (!keeps_tree_) return;
    std::vector<std::thread> threads;
    for (size_t i = 0; i < kSettlingThreads; ++i) {
      threads.emplace_back([this] {
        while (tree_.Settle(kMaintenanceBucketsMax)) {
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    tree_.Root();
  }

  void Maintain() ABSL_LOCKS_EXCLUDED(mutex_) {
    node::BackgroundPace::LowerPriority();
    node::BackgroundPace pace(kMaintenancePeriod);
    absl::Duration pause = kMaintenancePeriod;
    absl::Duration next_settling_at = absl::ZeroDuration();
    while (true) {
      {
        absl::MutexLock lock(&mutex_);
        if (mutex_.AwaitWithTimeout(absl::Condition(&stopping_), pause)) return;
      }
      const absl::Duration started = node::SteadyNow();
      pace.Observe(*engine_, started);
      const absl::StatusOr<bool> more = engine_->Maintain();
      if (keeps_tree_ && started >= next_settling_at) {
        tree_.Settle(kMaintenanceBucketsMax);
        next_settling_at = started + kMaintenancePeriod;
      }
      pause = pace.PauseAfter(node::SteadyNow() - started, more.ok() && *more);
    }
  }

  void StopOwners() ABSL_LOCKS_EXCLUDED(mutex_) {
    {
      absl::MutexLock lock(&mutex_);
      stopping_ = true;
    }
    if (maintenance_.joinable()) maintenance_.join();
    if (commits_ != nullptr) commits_->Stop();
  }

  const bool keeps_tree_;
  const bool waits_;  // A put for the disk.
  storage::PosixFileSystem fs_;
  base::Random rng_{1};
  merkle::Tree tree_;  // Hears from the engine, so it is there before and after it.
  std::unique_ptr<storage::Engine> engine_;
  std::unique_ptr<node::CommitQueue> commits_;
  absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread maintenance_;
  std::unique_ptr<node::HeapTrimmer> trimmer_;
};

class SlipstreamSession final : public EngineSession {
 public:
  explicit SlipstreamSession(Slipstream* slipstream) : slipstream_(slipstream) {}

  absl::Status Put(absl::string_view key, absl::string_view value) override {
    const storage::Mutation mutation{.key = key, .value = value};
    return slipstream_->Write(absl::MakeConstSpan(&mutation, 1));
  }

  absl::StatusOr<absl::string_view> Get(absl::string_view key) override {
    SLIP_ASSIGN_OR_RETURN(read_, slipstream_->engine().Get(key, node::WallNow()));
    if (!read_.found) return absl::NotFoundError("no such key");
    return read_.value;
  }

  absl::Status PutMany(absl::Span<const KeyValue> pairs) override {
    mutations_.clear();
    for (const KeyValue& pair : pairs) {
      mutations_.push_back({.key = pair.key, .value = pair.value});
    }
    return slipstream_->Write(mutations_);
  }

 private:
  Slipstream* const slipstream_;
  storage::ReadResult read_;
  std::vector<storage::Mutation> mutations_;
};

std::unique_ptr<EngineSession> Slipstream::NewSession() {
  return std::make_unique<SlipstreamSession>(this);
}

}  // namespace

absl::StatusOr<std::unique_ptr<EngineUnderTest>> OpenSlipstream(const EngineOptions& options) {
  auto slipstream = std::make_unique<Slipstream>(options);
  SLIP_RETURN_IF_ERROR(slipstream->Open(options));
  return slipstream;
}

}  // namespace slipstream::bench
