// Transaction: several reads and writes of one engine as one step.
//
// Optimistic, with backward validation (Kung and Robinson, "On Optimistic Methods for Concurrency
// Control", ACM TODS 1981): nothing is locked while it is open. It notes what it reads and buffers
// what it writes; Commit hands both to Engine::Transact, which holds the stripe locks of all these
// keys while it compares what was read with what is there and appends the writes as one batch.
//
// Why that is serializable. Two transactions that touch one key, one of them writing it, are
// checked and made visible under a lock that both hold, so one of them is wholly first; whichever
// is second read what the first left, or fails. Each committed transaction thus reads what is
// current at the moment of its commit, and the moments, which for writers are their places in the
// log, are the serial order. Read-only ones are validated as well, or they could see a state that
// never was. This is a promise of one node, the coordinator: other members see the batch as
// Engine::Apply stores it.
//
// What reads see before the commit says whether they hold. The KeyDir keeps one version of a key,
// so the snapshot of Begin is an HLC, not a copy: it is taken under all stripe locks, which
// versions are given and made visible under, so every own write that is visible then is at or below
// it and every later one above it. A read that finds a version above it is a conflict at once.
// Records that Apply takes over from other nodes are the exception: they may appear after Begin
// with versions below the snapshot. So, when anything was applied since the last look, a read also
// checks that all reads before it are still current: all that a transaction has read was there at
// one moment, always, and a client may trust what it computes from it.
//
// What it reads is bounded as one batch, what it writes by Limits::transaction_*. It is in memory
// until it is more than transaction_buffer_bytes; then the values go to the log ahead of the
// Commit (write_stream.h), where nobody sees them, and only where they stand is kept.
#ifndef SLIPSTREAM_STORAGE_TRANSACTION_H_
#define SLIPSTREAM_STORAGE_TRANSACTION_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/version.h"
#include "storage/engine.h"
#include "storage/entry.h"
#include "storage/options.h"
#include "storage/precondition.h"
#include "storage/write_stream.h"

namespace slipstream::storage {

// Not thread-safe. Destroying one that is open rolls it back; the engine must not be closed by
// then.
//
// Errors, besides those named below: ABORTED (TRANSACTION_CONFLICT), after which it is over: begin
// anew. RESOURCE_EXHAUSTED (TRANSACTION_SIZE), naming the limit, and FAILED_PRECONDITION if it is
// over, both without effect.
class Transaction {
 public:
  // `engine` must outlive the transaction. Reads hide what has expired by `now`.
  static Transaction Begin(Engine* engine, absl::Time now);

  // Returns the own write of `key`, with no version yet, or else what the snapshot holds; both as
  // of Begin, where expiry goes. Errors also as Engine::Get, without effect.
  absl::StatusOr<ReadResult> Get(absl::string_view key);

  // Takes a write; the last one of a key counts, its expiry too: Unix milliseconds, 0: never.
  // INVALID_ARGUMENT (KEY_SIZE, VALUE_SIZE) without effect. If the log must take some of the writes
  // and cannot, errors as Engine::Stream, and it is over.
  absl::Status Put(absl::string_view key, absl::string_view value, uint64_t expires_at_ms = 0);
  absl::Status Delete(absl::string_view key);

  // Makes all writes durable and visible together, in key order in the result, if everything that
  // was read is still so; it is over in any case. Errors also as Engine::Transact.
  absl::StatusOr<WriteResult> Commit(absl::Time now);

  // The same for an owner that does more with what is written than the engine: `transact` is called
  // at most once, in place of Engine::Transact, or, if `stream` is not null, of CommitStream.
  using TransactFunction = absl::FunctionRef<absl::StatusOr<WriteResult>(
      absl::Span<const Precondition>, absl::Span<const Mutation>, WriteStream* stream)>;
  absl::StatusOr<WriteResult> CommitWith(TransactFunction transact);

  // Forgets everything. May be called when it is over.
  void Rollback();

  // Distinct keys read, and keys written.
  size_t operation_count() const { return reads_.size() + writes_.size(); }
  // What is in memory of them: keys, values, places in the log.
  size_t byte_count() const;

 private:
  struct Read {
    bool found = false;
    base::Version version;  // If found.
    friend bool operator==(const Read&, const Read&) = default;
  };
  struct Write {
    Mutation::Kind kind = Mutation::Kind::kPut;
    std::string value;
    uint64_t expires_at_ms = 0;
    size_t streamed_number = 0;  // In the stream, from 1; 0: it is in memory.
  };

  Transaction(Engine* engine, absl::Time now);

  absl::Status CheckOpen() const;
  absl::Status Buffer(absl::string_view key, Write write);
  absl::StatusOr<ReadResult> ReadOwn(const Write& own);
  // Moves all writes that are in memory to the stream. After an error it is over.
  absl::Status StreamBuffered();
  absl::StatusOr<WriteResult> CommitStreamWith(TransactFunction transact);
  size_t streamed_count() const { return stream_ == nullptr ? 0 : stream_->records.size(); }
  uint64_t streamed_bytes() const { return stream_ == nullptr ? 0 : stream_->bytes; }
  absl::Status NoteRead(absl::string_view key, const ReadResult& read);
  // Makes sure that all reads are of one moment.
  absl::Status CheckReads();
  // Ends with a conflict over `key`.
  absl::Status Conflict(absl::string_view key, absl::string_view what);
  std::vector<Precondition> PreconditionsOfReads() const;

  Engine* engine_;
  Limits limits_;
  absl::Time begin_time_;
  base::Hlc snapshot_;
  uint64_t apply_count_;  // Engine::apply_count() at the last look.
  bool open_ = true;
  // Ordered, so that nothing depends on the order of a hash.
  std::map<std::string, Read, std::less<>> reads_;
  std::map<std::string, Write, std::less<>> writes_;
  size_t read_bytes_ = 0;  // Of keys.
  size_t streamed_key_bytes_ = 0;
  size_t buffered_count_ = 0;            // Of the writes, those in memory;
  size_t buffered_bytes_ = 0;            // of these, keys and values.
  std::unique_ptr<WriteStream> stream_;  // Null until it is needed.
};

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_TRANSACTION_H_
