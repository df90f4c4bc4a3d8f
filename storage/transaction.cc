#include "storage/transaction.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/error_reason.h"
#include "base/status_macros.h"

namespace slipstream::storage {
namespace {

absl::Status CheckSize(size_t size, absl::string_view what, size_t size_max) {
  if (size <= size_max) return absl::OkStatus();
  return base::WithReason(
      absl::ResourceExhaustedError(
          absl::StrFormat("the transaction would have %d %s, more than %d", size, what, size_max)),
      base::kReasonTransactionSize);
}

}  // namespace

Transaction::Transaction(Engine* engine, absl::Time now)
    : engine_(engine),
      limits_(engine->limits()),
      begin_time_(now),
      snapshot_(engine->Snapshot()),
      apply_count_(engine->apply_count()) {}

Transaction Transaction::Begin(Engine* engine, absl::Time now) { return Transaction(engine, now); }

absl::StatusOr<ReadResult> Transaction::Get(absl::string_view key) {
  SLIP_RETURN_IF_ERROR(CheckOpen());
  if (const auto write = writes_.find(key); write != writes_.end()) {
    return ReadOwn(write->second);
  }
  const bool is_new = reads_.find(key) == reads_.end();
  if (is_new) {
    SLIP_RETURN_IF_ERROR(CheckSize(reads_.size() + 1, "keys read", limits_.batch_operations_max));
    SLIP_RETURN_IF_ERROR(
        CheckSize(read_bytes_ + key.size(), "bytes of keys read", limits_.batch_bytes_max));
  }
  SLIP_ASSIGN_OR_RETURN(ReadResult read, engine_->Get(key, begin_time_));
  SLIP_RETURN_IF_ERROR(NoteRead(key, read));
  // Asked after the read: whatever was applied and shows in it is counted by now.
  const uint64_t apply_count = engine_->apply_count();
  if (apply_count != apply_count_) SLIP_RETURN_IF_ERROR(CheckReads());
  apply_count_ = apply_count;
  return read;
}

absl::StatusOr<ReadResult> Transaction::ReadOwn(const Write& own) {
  if (own.kind == Mutation::Kind::kDelete || IsExpired(own.expires_at_ms, begin_time_)) {
    return ReadResult{};
  }
  if (own.streamed_number != 0) {
    return engine_->ReadStreamed(stream_->records[own.streamed_number - 1]);
  }
  return ReadResult{.found = true, .value = own.value, .expires_at_ms = own.expires_at_ms};
}

absl::Status Transaction::NoteRead(absl::string_view key, const ReadResult& read) {
  if (read.version.hlc > snapshot_) {
    return Conflict(key, absl::StrCat("was written after the transaction began: version ",
                                      base::ToString(read.version)));
  }
  Read noted{.found = read.found};
  if (read.found) noted.version = read.version;
  const auto [it, inserted] = reads_.try_emplace(std::string(key), noted);
  if (inserted) {
    read_bytes_ += key.size();
    return absl::OkStatus();
  }
  if (it->second == noted) return absl::OkStatus();
  return Conflict(key, "changed between two reads");
}

absl::Status Transaction::CheckReads() {
  const absl::Status status = engine_->Transact(PreconditionsOfReads(), {}, begin_time_).status();
  if (absl::IsAborted(status)) Rollback();
  return status;
}

absl::Status Transaction::Put(absl::string_view key, absl::string_view value,
                              uint64_t expires_at_ms) {
  if (value.size() > limits_.value_bytes_max) {
    return base::WithReason(
        absl::InvalidArgumentError(absl::StrFormat("value of %d bytes, more than %d", value.size(),
                                                   limits_.value_bytes_max)),
        base::kReasonValueSize);
  }
  return Buffer(
      key,
      {.kind = Mutation::Kind::kPut, .value = std::string(value), .expires_at_ms = expires_at_ms});
}

absl::Status Transaction::Delete(absl::string_view key) {
  return Buffer(key, {.kind = Mutation::Kind::kDelete, .value = {}, .expires_at_ms = 0});
}

absl::Status Transaction::Buffer(absl::string_view key, Write write) {
  SLIP_RETURN_IF_ERROR(CheckOpen());
  if (key.empty() || key.size() > limits_.key_bytes_max) {
    return base::WithReason(absl::InvalidArgumentError(absl::StrFormat(
                                "key of %d bytes, not 1 to %d", key.size(), limits_.key_bytes_max)),
                            base::kReasonKeySize);
  }
  const auto earlier = writes_.find(key);
  const bool is_new = earlier == writes_.end();
  const bool replaces_buffered = !is_new && earlier->second.streamed_number == 0;
  size_t count_after = buffered_count_ + 1;
  size_t bytes_after = buffered_bytes_ + key.size() + write.value.size();
  if (replaces_buffered) {
    --count_after;
    bytes_after -= key.size() + earlier->second.value.size();
  }
  // What was streamed counts even if it was written again.
  SLIP_RETURN_IF_ERROR(
      CheckSize(streamed_count() + count_after, "writes", limits_.transaction_operations_max));
  SLIP_RETURN_IF_ERROR(CheckSize(streamed_bytes() + bytes_after, "bytes of keys and values written",
                                 limits_.transaction_bytes_max));
  buffered_count_ = count_after;
  buffered_bytes_ = bytes_after;
  if (is_new) {
    writes_.emplace(std::string(key), std::move(write));
  } else {
    if (!replaces_buffered) streamed_key_bytes_ -= key.size();
    earlier->second = std::move(write);
  }
  if (buffered_bytes_ <= limits_.transaction_buffer_bytes) return absl::OkStatus();
  return StreamBuffered();
}

absl::Status Transaction::StreamBuffered() {
  if (stream_ == nullptr) stream_ = std::make_unique<WriteStream>(engine_);
  std::vector<Mutation> mutations;
  std::vector<Write*> moved;
  mutations.reserve(buffered_count_);
  moved.reserve(buffered_count_);
  for (auto& [key, write] : writes_) {
    if (write.streamed_number != 0) continue;
    mutations.push_back({.kind = write.kind,
                         .key = key,
                         .value = write.value,
                         .expires_at_ms = write.expires_at_ms});
    moved.push_back(&write);
    streamed_key_bytes_ += key.size();
  }
  size_t number = stream_->records.size();
  if (const absl::Status status = engine_->Stream(mutations, *stream_); !status.ok()) {
    Rollback();
    return status;
  }
  for (Write* const write : moved) {
    write->streamed_number = ++number;
    std::string().swap(write->value);  // Frees its memory.
  }
  buffered_count_ = 0;
  buffered_bytes_ = 0;
  return absl::OkStatus();
}

size_t Transaction::byte_count() const {
  return read_bytes_ + streamed_key_bytes_ + buffered_bytes_ +
         streamed_count() * sizeof(StreamedRecord);
}

absl::StatusOr<WriteResult> Transaction::Commit(absl::Time now) {
  return CommitWith([&](absl::Span<const Precondition> preconditions,
                        absl::Span<const Mutation> mutations, WriteStream* stream) {
    return stream == nullptr ? engine_->Transact(preconditions, mutations, now)
                             : engine_->CommitStream(preconditions, *stream, now);
  });
}

absl::StatusOr<WriteResult> Transaction::CommitWith(TransactFunction transact) {
  SLIP_RETURN_IF_ERROR(CheckOpen());
  if (stream_ != nullptr) return CommitStreamWith(transact);
  std::vector<Mutation> mutations;
  mutations.reserve(writes_.size());
  for (const auto& [key, write] : writes_) {
    mutations.push_back({.kind = write.kind,
                         .key = key,
                         .value = write.value,
                         .expires_at_ms = write.expires_at_ms});
  }
  absl::StatusOr<WriteResult> result = transact(PreconditionsOfReads(), mutations, nullptr);
  Rollback();  // Of what is in memory; what was committed stands.
  return result;
}

absl::StatusOr<WriteResult> Transaction::CommitStreamWith(TransactFunction transact) {
  SLIP_RETURN_IF_ERROR(StreamBuffered());
  absl::StatusOr<WriteResult> streamed = transact(PreconditionsOfReads(), {}, stream_.get());
  if (streamed.ok()) {
    // Of those that count, in key order.
    WriteResult result{.lsn = streamed->lsn, .applied_count = writes_.size()};
    for (const auto& [key, write] : writes_) {
      result.versions.push_back(streamed->versions[write.streamed_number - 1]);
      result.sequences.push_back(streamed->sequences[write.streamed_number - 1]);
    }
    streamed = std::move(result);
  }
  Rollback();  // Of what is in memory; what was committed stands.
  return streamed;
}

void Transaction::Rollback() {
  open_ = false;
  reads_.clear();
  writes_.clear();
  read_bytes_ = 0;
  streamed_key_bytes_ = 0;
  buffered_count_ = 0;
  buffered_bytes_ = 0;
  stream_.reset();  // Rolls it back unless it is over.
}

absl::Status Transaction::CheckOpen() const {
  if (open_) return absl::OkStatus();
  return absl::FailedPreconditionError("the transaction is over; begin another one");
}

absl::Status Transaction::Conflict(absl::string_view key, absl::string_view what) {
  Rollback();
  return ConflictOver(key, what);
}

std::vector<Precondition> Transaction::PreconditionsOfReads() const {
  std::vector<Precondition> preconditions;
  preconditions.reserve(reads_.size());
  for (const auto& [key, read] : reads_) {
    Precondition precondition{.kind = Precondition::Kind::kAbsent, .key = key};
    if (read.found) precondition.kind = Precondition::Kind::kVersion;
    precondition.version = read.version;
    preconditions.push_back(precondition);
  }
  return preconditions;
}

}  // namespace slipstream::storage
