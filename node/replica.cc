#include "node/replica.h"

#include <algorithm>
#include <atomic>
#include <utility>
#include <variant>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "base/key_id.h"
#include "base/status_macros.h"
#include "merkle/reconcile.h"
#include "node/peer_answer.h"
#include "node/push_queue.h"
#include "node/replica_protocol.h"
#include "node/replica_store.h"

namespace slipstream::node {
namespace {

// Messages of less could not hold a step of a reconciliation.
constexpr size_t kMessageBytesMin = 4096;
// Some 16 to 64 entries each: about what a step reads of the log in small records.
constexpr size_t kBucketsPerScrub = 16;

absl::Status ValidateOptions(const ReplicaOptions& options) {
  if (options.gossip_interval <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "gossip_interval ", absl::FormatDuration(options.gossip_interval), " must be above 0"));
  }
  if (options.message_bytes_max < kMessageBytesMin) {
    return absl::InvalidArgumentError(absl::StrCat("message_bytes_max ", options.message_bytes_max,
                                                   " must be at least ", kMessageBytesMin));
  }
  return absl::OkStatus();
}

}  // namespace

class Replica::Impl {
 public:
  Impl(const ReplicaOptions& options, std::unique_ptr<ReplicaStore> store, base::Random* rng)
      : options_(options), store_(std::move(store)), protocol_(store_.get(), options_, rng) {}

  absl::StatusOr<storage::WriteResult> Write(absl::Span<const storage::Mutation> mutations,
                                             storage::Atomicity atomicity, absl::Time now) {
    SLIP_ASSIGN_OR_RETURN(storage::WriteResult result,
                          store_->engine().Write(mutations, atomicity, now));
    result.lsn = store_->ReleaseLsn(result.lsn);
    Push(mutations, atomicity, result);
    return result;
  }

  absl::StatusOr<storage::WriteResult> Transact(
      absl::Span<const storage::Precondition> preconditions,
      absl::Span<const storage::Mutation> mutations, absl::Time now, storage::Lsn* lsn) {
    absl::StatusOr<storage::WriteResult> result =
        store_->engine().Transact(preconditions, mutations, now);
    if (!result.ok()) {
      // What a conflict tells of had been appended by now.
      *lsn = store_->ExposedLsn();
      return result;
    }
    *lsn = result->lsn = store_->ReleaseLsn(result->lsn);
    Push(mutations, storage::Atomicity::kAll, *result);
    return result;
  }

  absl::StatusOr<storage::WriteResult> CommitStream(
      absl::Span<const storage::Precondition> preconditions, storage::WriteStream& stream,
      absl::Time now, storage::Lsn* lsn) {
    absl::StatusOr<storage::WriteResult> result =
        store_->engine().CommitStream(preconditions, stream, now);
    *lsn = result.ok() ? store_->ReleaseLsn(result->lsn) : store_->ExposedLsn();
    if (result.ok()) result->lsn = *lsn;
    return result;
  }

  absl::StatusOr<PeerResponse> Answer(const PeerRequest& request, absl::Time now,
                                      storage::Lsn* lsn) {
    const PeerAnswerLimits limits{.clock_skew_max = options_.clock_skew_max,
                                  .message_bytes_max = options_.message_bytes_max};
    absl::StatusOr<PeerResponse> response;
    if (const auto* exchange = std::get_if<ExchangeRootsRequest>(&request)) {
      protocol_.OnHeard(exchange->sender);
      response = ExchangeRootsResponse{.responder = store_->Summary(options_.name)};
    } else if (const auto* reconcile = std::get_if<merkle::ReconcileRequest>(&request)) {
      SLIP_ASSIGN_OR_RETURN(
          response,
          merkle::Respond(*store_, *reconcile, ReconcileLimitsFor(limits.message_bytes_max)));
    } else if (const auto* fetch = std::get_if<FetchRecordsRequest>(&request)) {
      SLIP_ASSIGN_OR_RETURN(response, AnswerFetchRecords(*store_, *fetch, limits));
    } else {
      SLIP_ASSIGN_OR_RETURN(
          const PushRecordsResponse pushed,
          AnswerPushRecords(*store_, std::get<PushRecordsRequest>(request), limits, now));
      protocol_.OnPushAnswered(pushed);
      response = pushed;
    }
    // After the state was read: whatever is in the response had been appended by now. A record that
    // a push did not need to apply may be there and not be durable, so this holds for pushes, too.
    *lsn = store_->ExposedLsn();
    return response;
  }

  absl::StatusOr<ScrubStep> Scrub() ABSL_LOCKS_EXCLUDED(scrub_mutex_) {
    ScrubStep step;
    SLIP_ASSIGN_OR_RETURN(step.store, store_->engine().Scrub());
    absl::MutexLock lock(&scrub_mutex_);
    const merkle::Tree::Verified verified = store_->tree().Verify(verify_place_, kBucketsPerScrub);
    verify_place_ = verified.next;
    // Of an engine that fails entries may be missing.
    SLIP_RETURN_IF_ERROR(store_->engine().status());
    step.tree_difference_count = verified.difference_count;
    tree_difference_count_.fetch_add(verified.difference_count, std::memory_order_relaxed);
    return step;
  }

  uint64_t tree_difference_count() const {
    return tree_difference_count_.load(std::memory_order_relaxed);
  }
  const ReplicaOptions& options() const { return options_; }
  ReplicaStore& store() { return *store_; }
  ReplicaProtocol& protocol() { return protocol_; }

 private:
  void Push(absl::Span<const storage::Mutation> mutations, storage::Atomicity atomicity,
            const storage::WriteResult& result) {
    if (mutations.empty() || !protocol_.takes_pushes()) return;
    protocol_.Push(
        std::make_shared<const PushBatch>(MakePushBatch(mutations, atomicity, result, result.lsn)));
  }

  const ReplicaOptions options_;
  const std::unique_ptr<ReplicaStore> store_;
  ReplicaProtocol protocol_;

  absl::Mutex scrub_mutex_;
  merkle::Tree::VerifyPlace verify_place_ ABSL_GUARDED_BY(scrub_mutex_);
  std::atomic<uint64_t> tree_difference_count_{0};
};

absl::StatusOr<std::unique_ptr<Replica>> Replica::Open(storage::FileSystem* fs,
                                                       absl::string_view directory,
                                                       const ReplicaOptions& options,
                                                       base::Random* rng) {
  SLIP_RETURN_IF_ERROR(ValidateOptions(options));
  SLIP_ASSIGN_OR_RETURN(std::unique_ptr<ReplicaStore> store,
                        ReplicaStore::Open(fs, directory, options.storage, rng));
  return std::unique_ptr<Replica>(
      new Replica(std::make_unique<Impl>(options, std::move(store), rng)));
}

Replica::Replica(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Replica::~Replica() = default;

absl::StatusOr<storage::WriteResult> Replica::Write(absl::Span<const storage::Mutation> mutations,
                                                    storage::Atomicity atomicity, absl::Time now) {
  return impl_->Write(mutations, atomicity, now);
}

absl::StatusOr<storage::WriteResult> Replica::Transact(
    absl::Span<const storage::Precondition> preconditions,
    absl::Span<const storage::Mutation> mutations, absl::Time now, storage::Lsn* lsn) {
  return impl_->Transact(preconditions, mutations, now, lsn);
}

absl::StatusOr<storage::WriteResult> Replica::CommitStream(
    absl::Span<const storage::Precondition> preconditions, storage::WriteStream& stream,
    absl::Time now, storage::Lsn* lsn) {
  return impl_->CommitStream(preconditions, stream, now, lsn);
}

absl::StatusOr<storage::ReadResult> Replica::Get(absl::string_view key, absl::Time now) {
  SLIP_ASSIGN_OR_RETURN(storage::ReadResult result, impl_->store().engine().Get(key, now));
  result.lsn = impl_->store().ReleaseLsn(result.lsn);
  return result;
}

std::vector<absl::StatusOr<storage::ReadResult>> Replica::GetMany(
    absl::Span<const absl::string_view> keys, absl::Time now, size_t bytes_max) {
  std::vector<absl::StatusOr<storage::ReadResult>> results =
      impl_->store().engine().GetMany(keys, now, bytes_max);
  for (absl::StatusOr<storage::ReadResult>& result : results) {
    if (result.ok()) result->lsn = impl_->store().ReleaseLsn(result->lsn);
  }
  return results;
}

absl::optional<storage::ReadResult> Replica::GetInMemory(absl::string_view key, absl::Time now) {
  absl::optional<storage::ReadResult> result = impl_->store().engine().GetInMemory(key, now);
  if (result.has_value()) result->lsn = impl_->store().ReleaseLsn(result->lsn);
  return result;
}

absl::StatusOr<ScanPage> Replica::Scan(const ScanOptions& options, absl::Time now) {
  return ScanStore(impl_->store(), options, now);
}

absl::StatusOr<merkle::Tree::RootedProof> Replica::Prove(absl::string_view key, storage::Lsn* lsn) {
  absl::StatusOr<merkle::Tree::RootedProof> proof = tree().Prove(base::KeyIdOf(key));
  *lsn = impl_->store().ExposedLsn();
  return proof;
}

NodeSummary Replica::Summary(storage::Lsn* lsn) {
  NodeSummary summary = impl_->store().Summary(options().name);
  *lsn = impl_->store().ExposedLsn();
  return summary;
}

absl::StatusOr<PeerResponse> Replica::Answer(const PeerRequest& request, absl::Time now,
                                             storage::Lsn* lsn) {
  return impl_->Answer(request, now, lsn);
}

void Replica::Tick(absl::Time now, Outbox& outbox) { impl_->protocol().Tick(now, outbox); }

absl::Time Replica::next_tick() const { return impl_->protocol().next_tick(); }

void Replica::OnReply(CallId call_id, absl::StatusOr<PeerResponse> response, const WireBytes& bytes,
                      absl::Time now, Outbox& outbox) {
  impl_->protocol().OnReply(call_id, std::move(response), bytes, now, outbox);
}

absl::StatusOr<ScrubStep> Replica::Scrub() { return impl_->Scrub(); }
uint64_t Replica::tree_difference_count() const { return impl_->tree_difference_count(); }
bool Replica::has_outgoing() const { return impl_->protocol().has_outgoing(); }
std::vector<MemberState> Replica::members() const { return impl_->protocol().members(); }
RepairStats Replica::repair_stats() const { return impl_->protocol().repair_stats(); }
PushStats Replica::push_stats() const { return impl_->protocol().push_stats(); }
storage::Engine& Replica::engine() { return impl_->store().engine(); }
merkle::Tree& Replica::tree() { return impl_->store().tree(); }
const ReplicaOptions& Replica::options() const { return impl_->options(); }

}  // namespace slipstream::node
