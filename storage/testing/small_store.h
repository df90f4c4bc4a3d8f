// A store small enough that a test can walk through all its states, and an account of what it must
// hold that is kept apart from it.
#ifndef SLIPSTREAM_STORAGE_TESTING_SMALL_STORE_H_
#define SLIPSTREAM_STORAGE_TESTING_SMALL_STORE_H_

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/random.h"
#include "base/version.h"
#include "storage/engine.h"
#include "storage/entry.h"
#include "storage/file_system.h"
#include "storage/options.h"
#include "storage/write_stream.h"

namespace slipstream::storage::testing {

inline constexpr absl::string_view kDirectory = "/data";

// The wall clock of these tests stands still: versions must not need it.
absl::Time Noon();

// Segments of four pages, frames of one: a handful of writes fills a segment. Every read reads the
// log: there is no value cache.
Options SmallOptions();

// The same with checkpoints all the time and no memory for entries: whatever may leave it, does.
Options ColdOptions();

// Expects what was written, and holds an engine to it. Not thread-safe.
class Account {
 public:
  // Notes a Write that returned `result`.
  void Wrote(absl::Span<const Mutation> mutations, Atomicity atomicity, const WriteResult& result);
  // Notes a CommitStream that returned `result`. The views of `streamed` are not kept.
  void Committed(absl::Span<const Mutation> streamed, const WriteResult& result);
  // Notes that all up to `lsn` was reported durable.
  void Durable(Lsn lsn);

  // Checks a newly opened engine: it holds a prefix, in log order, of what was written, not shorter
  // than what was durable, batches whole, no byte invented. Forgets what it lost, which later lives
  // must not bring back. Returns what is wrong. `entries`: all that the engine has, for callers
  // that know them already.
  absl::Status CheckReopened(Engine& engine);
  absl::Status CheckReopened(Engine& engine, absl::Span<const Entry> entries);

  // Checks that reads return exactly what was written.
  absl::Status CheckReads(Engine& engine) const;
  absl::Status CheckReads(Engine& engine, absl::Span<const Entry> entries) const;

  // Changes with every call that may change what is expected, so that of one script's accounts two
  // with the same number expect the same.
  uint64_t revision() const { return revision_; }

 private:
  struct Written {
    std::string key;
    std::string value;
    bool tombstone = false;
    base::Version version;
    Lsn lsn = 0;
  };

  absl::Status CheckKey(Engine& engine, absl::string_view key) const;

  std::vector<Written> writes_;               // In log order.
  std::vector<std::pair<Lsn, Lsn>> batches_;  // First and last LSN of atomic ones.
  Lsn durable_lsn_ = 0;
  uint64_t revision_ = 0;
};

// Checks that the entries are what a scan of all records in the log says, and that no version and
// no dot occurs twice in it. The engine must have nothing unflushed. `entries` as with Account.
absl::Status CheckEntriesAgainstLog(Engine& engine, FileSystem* fs);
absl::Status CheckEntriesAgainstLog(Engine& engine, absl::Span<const Entry> entries,
                                    FileSystem* fs);

// Returns all entries, in order.
std::vector<Entry> AllEntries(Engine& engine);

// A fixed course of puts, deletes, batches, flushes, steps of maintenance, kills and clean
// restarts.
class Script {
 public:
  // Draws its steps from `seed`. `fs` must outlive the script.
  Script(FileSystem* fs, const Options& options, uint64_t seed);
  ~Script();

  enum class OnError { kStop, kGoOn };
  // Opens the store and takes `step_count` steps. With kStop, returns the first error of the
  // engine. A check of the account that fails is INTERNAL, and always ends the run.
  absl::Status Run(int step_count, OnError on_error);

  // Makes each step be followed by this many of the engine's maintenance.
  void set_maintenance_per_step(int count) { maintenance_per_step_ = count; }

  // Makes one write in three a transaction of half of the keys or more: of several frames, mostly,
  // and often of two segments.
  void set_large_transactions() { has_large_transactions_ = true; }

  // Makes one write in two one of a streamed transaction, which stays open over other steps.
  void set_streams() { has_streams_ = true; }

  Account& account() { return account_; }
  // Null unless the last Open succeeded.
  Engine* engine() { return engine_.get(); }
  // Dies without Close.
  void DropEngine();

 private:
  absl::Status Open();
  absl::Status Step();
  absl::Status MaintainSome();
  absl::Status Maintain();
  absl::Status WriteSome();
  absl::Status StreamSome();
  absl::Status FlushSome();

  FileSystem* const fs_;
  const Options options_;
  base::Random rng_;
  int maintenance_per_step_ = 0;
  bool has_large_transactions_ = false;
  bool has_streams_ = false;
  Account account_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<WriteStream> stream_;  // Null: none is open.
  // What it holds; a list, as the mutations point into it.
  std::list<std::string> streamed_texts_;
  std::vector<Mutation> streamed_;
};

}  // namespace slipstream::storage::testing

#endif  // SLIPSTREAM_STORAGE_TESTING_SMALL_STORE_H_
