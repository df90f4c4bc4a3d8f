// The engine as a library: one process, one directory, no server, no cluster.
//
//   engine_example DIRECTORY
//
// Puts, reads, deletes, writes a batch, moves money in a transaction, walks over all entries, lets
// the engine do its background work, closes. Run it again on the same directory: what it wrote is
// there, and each run writes on top of the last.
//
// An engine starts no thread, reads no clock and draws no random numbers: whoever owns it hands all
// of that in. Here that is main() and one thread; node/ shows an owner with many.

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/key_id.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "storage/engine.h"
#include "storage/entry.h"
#include "storage/options.h"
#include "storage/posix_file_system.h"
#include "storage/transaction.h"

namespace slipstream {
namespace {

using storage::Atomicity;
using storage::Engine;
using storage::Mutation;
using storage::ReadResult;
using storage::Transaction;
using storage::WriteResult;

// A write is visible at once, but survives a crash only after a flush that syncs. Flush once for
// many writes: that is group commit.
absl::Status MakeDurable(Engine& engine, const WriteResult& written) {
  if (engine.durable_lsn() >= written.lsn) return absl::OkStatus();
  return engine.Flush(Engine::FlushMode::kSync).status();
}

absl::Status PutGetDelete(Engine& engine) {
  // The same call takes one mutation or many. Views: they need to live for this call only.
  const Mutation put{.key = "greeting", .value = "hello"};
  SLIP_ASSIGN_OR_RETURN(WriteResult written, engine.Write({put}, Atomicity::kEach, absl::Now()));
  SLIP_RETURN_IF_ERROR(MakeDurable(engine, written));

  SLIP_ASSIGN_OR_RETURN(ReadResult read, engine.Get("greeting", absl::Now()));
  std::printf("get greeting: %s\n", read.found ? read.value.c_str() : "(absent)");

  const Mutation erase{.kind = Mutation::Kind::kDelete, .key = "greeting"};
  SLIP_ASSIGN_OR_RETURN(written, engine.Write({erase}, Atomicity::kEach, absl::Now()));
  SLIP_RETURN_IF_ERROR(MakeDurable(engine, written));

  // An absent key is no error: `found` says so.
  SLIP_ASSIGN_OR_RETURN(read, engine.Get("greeting", absl::Now()));
  std::printf("get greeting after its delete: %s\n", read.found ? read.value.c_str() : "(absent)");
  return absl::OkStatus();
}

absl::Status WriteABatch(Engine& engine) {
  // All or nothing, in a crash and for every reader. A value can expire: then it is hidden.
  const uint64_t in_an_hour_ms =
      static_cast<uint64_t>(absl::ToUnixMillis(absl::Now() + absl::Hours(1)));
  const Mutation batch[] = {
      {.key = "account/alice", .value = "100"},
      {.key = "account/bob", .value = "20"},
      {.key = "session/1", .value = "alice", .expires_at_ms = in_an_hour_ms},
  };
  SLIP_ASSIGN_OR_RETURN(const WriteResult written,
                        engine.Write(batch, Atomicity::kAll, absl::Now()));
  SLIP_RETURN_IF_ERROR(MakeDurable(engine, written));
  std::printf("batch: %d records in one\n", static_cast<int>(written.applied_count));
  return absl::OkStatus();
}

// Reads two accounts and writes both. If somebody else writes one of them in between, Commit fails
// with ABORTED, having written nothing: begin anew.
absl::StatusOr<WriteResult> Move(Engine& engine, int amount) {
  Transaction transaction = Transaction::Begin(&engine, absl::Now());
  SLIP_ASSIGN_OR_RETURN(const ReadResult alice, transaction.Get("account/alice"));
  SLIP_ASSIGN_OR_RETURN(const ReadResult bob, transaction.Get("account/bob"));
  if (!alice.found || !bob.found) return absl::NotFoundError("an account is missing");
  int alice_has = 0;
  int bob_has = 0;
  if (!absl::SimpleAtoi(alice.value, &alice_has) || !absl::SimpleAtoi(bob.value, &bob_has)) {
    return absl::DataLossError("an account holds no number");
  }
  // To return without Commit is to roll back.
  if (alice_has < amount) return absl::FailedPreconditionError("alice has too little");
  SLIP_RETURN_IF_ERROR(transaction.Put("account/alice", absl::StrCat(alice_has - amount)));
  SLIP_RETURN_IF_ERROR(transaction.Put("account/bob", absl::StrCat(bob_has + amount)));
  return transaction.Commit(absl::Now());
}

absl::Status MoveMoney(Engine& engine) {
  absl::StatusOr<WriteResult> moved = Move(engine, 30);
  while (absl::IsAborted(moved.status())) moved = Move(engine, 30);
  SLIP_RETURN_IF_ERROR(moved.status());
  SLIP_RETURN_IF_ERROR(MakeDurable(engine, *moved));
  SLIP_ASSIGN_OR_RETURN(const ReadResult bob, engine.Get("account/bob", absl::Now()));
  std::printf("bob has %s after the transaction\n", bob.value.c_str());
  return absl::OkStatus();
}

// Walks over all entries in key_id order, that is by SHA-256 of the key: versions, sizes and
// digests without a look at the disk. The keys and values themselves are in the records.
absl::Status ShowAll(Engine& engine) {
  std::vector<base::KeyId> live;
  int tombstone_count = 0;
  const base::KeyRange everything = base::RangeOf(base::KeyPrefix{});
  SLIP_RETURN_IF_ERROR(engine.VisitEntries(everything, [&](const storage::Entry& entry) {
    // Under a lock: note what is of interest, and read the records afterwards.
    if (entry.tombstone) {
      ++tombstone_count;
    } else {
      live.push_back(entry.key_id);
    }
    return true;
  }));
  for (const base::KeyId& key_id : live) {
    SLIP_ASSIGN_OR_RETURN(const storage::Record record, engine.GetRecord(key_id, nullptr));
    std::printf("record %s = %s\n", record.key.c_str(), record.value.c_str());
  }
  std::printf("%d deleted\n", tombstone_count);
  return absl::OkStatus();
}

// Checkpoints, compaction, preparing segments: a bounded step a call. An owner with a thread to
// spare calls it there, all the time; it returns whether there is more to do now.
absl::Status Maintain(Engine& engine) {
  for (;;) {
    SLIP_ASSIGN_OR_RETURN(const bool more, engine.Maintain());
    if (!more) return absl::OkStatus();
  }
}

absl::Status Run(absl::string_view directory) {
  storage::PosixFileSystem file_system;
  storage::Options options;
  options.create_if_missing = true;
  options.segment_bytes = 8 << 20;  // A small store needs no segments of 64 MiB.
  options.memory_limit_bytes = 64 << 20;
  options.value_cache_bytes = 4 << 20;
  // Ids of nodes and lives are drawn from it, so two directories must not have the same seed.
  base::Random rng(static_cast<uint64_t>(absl::ToUnixNanos(absl::Now())));
  // The last argument would hear of every change: the Merkle tree of a node does.
  SLIP_ASSIGN_OR_RETURN(const std::unique_ptr<Engine> engine,
                        Engine::Open(&file_system, directory, options, &rng, nullptr));

  SLIP_RETURN_IF_ERROR(PutGetDelete(*engine));
  SLIP_RETURN_IF_ERROR(WriteABatch(*engine));
  SLIP_RETURN_IF_ERROR(MoveMoney(*engine));
  SLIP_RETURN_IF_ERROR(ShowAll(*engine));
  SLIP_RETURN_IF_ERROR(Maintain(*engine));
  // Without it, the next Open reads more of the log; what was durable is there in any case.
  return engine->Close();
}

}  // namespace
}  // namespace slipstream

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: engine_example DIRECTORY\n", stderr);
    return 2;
  }
  const absl::Status status = slipstream::Run(argv[1]);
  if (status.ok()) return 0;
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return 1;
}
