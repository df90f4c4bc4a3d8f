#include "storage/testing/small_store.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/check.h"
#include "base/key_id.h"
#include "base/status_macros.h"
#include "storage/keydir_shard.h"
#include "storage/log_recovery.h"
#include "storage/manifest.h"
#include "storage/precondition.h"
#include "storage/record.h"
#include "storage/segment.h"

namespace slipstream::storage::testing {
namespace {

constexpr uint64_t kKeyCount = 12;
constexpr uint64_t kValueBytesMax = 700;
// Of a stream: more is committed. Less than SmallOptions allows by what is added at a time.
constexpr uint64_t kStreamBytesMax = 10'000;

const base::KeyRange kAllKeys = base::RangeOf(base::KeyPrefix{});

absl::Status Wrong(absl::string_view what) { return absl::InternalError(what); }

absl::StatusOr<std::vector<Entry>> ReadEntries(Engine& engine) {
  std::vector<Entry> entries;
  SLIP_RETURN_IF_ERROR(engine.VisitEntries(kAllKeys, [&entries](const Entry& entry) {
    entries.push_back(entry);
    return true;
  }));
  return entries;
}

// The records of a log, as far as they must differ from each other. Compaction copies records: then
// all that counts is the same.
struct LoggedRecords {
  using Dot = std::tuple<uint64_t, uint8_t, uint64_t>;

  absl::Status Note(const RecordView& record) {
    const base::KeyId key_id = base::KeyIdOf(record.key);
    const Dot dot(record.header.actor, key_id.shard(), record.header.sequence);
    const std::string what = absl::StrCat(record.key, "=", record.value);
    newest[key_id] = std::max(newest[key_id], record.version());
    const auto whole = std::make_pair(dot, what);
    if (versions.emplace(record.version(), whole).first->second != whole) {
      return Wrong("a version was given twice");
    }
    if (dots.emplace(dot, record.version()).first->second != record.version()) {
      return Wrong("a dot was given twice");
    }
    return absl::OkStatus();
  }

  std::map<base::KeyId, base::Version> newest;
  std::map<base::Version, std::pair<Dot, std::string>> versions;
  std::map<Dot, base::Version> dots;
};

}  // namespace

absl::Time Noon() { return absl::FromUnixSeconds(1'700'000'000); }

Options SmallOptions() {
  Options options;
  options.limits = {.key_bytes_max = 64,
                    .value_bytes_max = 1024,
                    .batch_operations_max = 8,
                    .batch_bytes_max = 2048,
                    .transaction_operations_max = 100,
                    .transaction_buffer_bytes = 16 << 10,
                    .transaction_bytes_max = 16 << 10};
  options.segment_bytes = 16384;
  options.frame_bytes_target = 4096;
  options.unflushed_bytes_max = 4096;
  options.value_cache_bytes = 0;
  return options;
}

Options ColdOptions() {
  Options options = SmallOptions();
  options.memory_limit_bytes = 1;
  options.checkpoint_bytes = 12'288;
  return options;
}

void Account::Wrote(absl::Span<const Mutation> mutations, Atomicity atomicity,
                    const WriteResult& result) {
  ++revision_;
  const bool has_commit = atomicity == Atomicity::kAll && mutations.size() > 1;
  const Lsn first_lsn = result.lsn - (mutations.size() - 1) - (has_commit ? 1 : 0);
  if (has_commit) batches_.emplace_back(first_lsn, result.lsn);
  for (size_t i = 0; i < mutations.size(); ++i) {
    writes_.push_back({.key = std::string(mutations[i].key),
                       .value = std::string(mutations[i].value),
                       .tombstone = mutations[i].kind == Mutation::Kind::kDelete,
                       .version = result.versions[i],
                       .lsn = first_lsn + i});
  }
}

void Account::Committed(absl::Span<const Mutation> streamed, const WriteResult& result) {
  ++revision_;
  for (size_t i = 0; i < streamed.size(); ++i) {
    writes_.push_back({.key = std::string(streamed[i].key),
                       .value = std::string(streamed[i].value),
                       .tombstone = streamed[i].kind == Mutation::Kind::kDelete,
                       .version = result.versions[i],
                       .lsn = result.lsn});
  }
}

void Account::Durable(Lsn lsn) {
  if (lsn <= durable_lsn_) return;
  ++revision_;
  durable_lsn_ = lsn;
}

absl::Status Account::CheckReopened(Engine& engine) {
  SLIP_ASSIGN_OR_RETURN(const std::vector<Entry> entries, ReadEntries(engine));
  return CheckReopened(engine, entries);
}

absl::Status Account::CheckReopened(Engine& engine, absl::Span<const Entry> entries) {
  ++revision_;
  const Lsn last_lsn = engine.appended_lsn();
  if (last_lsn < durable_lsn_) {
    return Wrong(absl::StrFormat("ends at LSN %d, but %d was durable", last_lsn, durable_lsn_));
  }
  for (const auto& [first, last] : batches_) {
    if (first <= last_lsn && last_lsn < last) {
      return Wrong(
          absl::StrFormat("ends at LSN %d, within the batch %d to %d", last_lsn, first, last));
    }
  }
  std::erase_if(writes_, [last_lsn](const Written& write) { return write.lsn > last_lsn; });
  std::erase_if(batches_, [last_lsn](const auto& batch) { return batch.second > last_lsn; });
  durable_lsn_ = last_lsn;
  return CheckReads(engine, entries);
}

absl::Status Account::CheckReads(Engine& engine) const {
  SLIP_ASSIGN_OR_RETURN(const std::vector<Entry> entries, ReadEntries(engine));
  return CheckReads(engine, entries);
}

absl::Status Account::CheckReads(Engine& engine, absl::Span<const Entry> entries) const {
  std::set<base::KeyId> expected;
  for (const Written& write : writes_) {
    if (!expected.insert(base::KeyIdOf(write.key)).second) continue;
    SLIP_RETURN_IF_ERROR(CheckKey(engine, write.key));
  }
  for (const Entry& entry : entries) {
    if (expected.count(entry.key_id) == 0) return Wrong("holds a key that was not written");
  }
  return absl::OkStatus();
}

absl::Status Account::CheckKey(Engine& engine, absl::string_view key) const {
  const Written* newest = nullptr;
  for (const Written& write : writes_) {
    if (write.key == key && (newest == nullptr || newest->version < write.version)) {
      newest = &write;
    }
  }
  const absl::StatusOr<ReadResult> read = engine.Get(key, Noon());
  // A device that was told to fail may say so.
  if (absl::IsUnavailable(read.status()) || absl::IsResourceExhausted(read.status())) {
    return read.status();
  }
  if (absl::IsUnavailable(read.status())) return read.status();
  if (!read.ok()) return Wrong(absl::StrCat(key, ": ", read.status().ToString()));
  if (read->version != newest->version || read->found == newest->tombstone ||
      read->value != newest->value) {
    return Wrong(absl::StrFormat("%s: read version %s, found %d, %d bytes; written %s, %d bytes",
                                 key, base::ToString(read->version), read->found,
                                 read->value.size(), base::ToString(newest->version),
                                 newest->value.size()));
  }
  return absl::OkStatus();
}

std::vector<Entry> AllEntries(Engine& engine) {
  absl::StatusOr<std::vector<Entry>> entries = ReadEntries(engine);
  SLIP_CHECK(entries.ok());
  return *std::move(entries);
}

absl::Status CheckEntriesAgainstLog(Engine& engine, FileSystem* fs) {
  SLIP_ASSIGN_OR_RETURN(const std::vector<Entry> entries, ReadEntries(engine));
  return CheckEntriesAgainstLog(engine, entries, fs);
}

absl::Status CheckEntriesAgainstLog(Engine& engine, absl::Span<const Entry> entries,
                                    FileSystem* fs) {
  SLIP_ASSIGN_OR_RETURN(const std::vector<std::string> names, fs->ListDirectory(kDirectory));
  std::vector<uint64_t> numbers;
  for (const std::string& name : names) {
    if (const auto number = ParseSegmentFileName(name)) numbers.push_back(*number);
  }
  Manifest manifest;
  if (absl::StatusOr<Manifest> found = ReadManifest(fs, kDirectory); found.ok()) {
    manifest = *std::move(found);
  } else if (!absl::IsNotFound(found.status())) {
    return found.status();
  }
  uint64_t segment_bytes = 0;
  if (!numbers.empty()) {
    const std::string path = JoinPath(kDirectory, SegmentFileName(numbers.back()));
    SLIP_ASSIGN_OR_RETURN(const std::unique_ptr<File> file, fs->Open(path, OpenMode::kRead));
    SLIP_ASSIGN_OR_RETURN(segment_bytes, file->Size());
  }
  LoggedRecords logged;
  SLIP_ASSIGN_OR_RETURN(
      const LogRecovery recovery,
      RecoverLog(
          fs, kDirectory, numbers,
          {.node_id = engine.node_id(), .segment_bytes = segment_bytes, .gaps = manifest.gaps},
          [&logged](const RecoveredRecord& recovered) {
            return recovered.fate == RecordFate::kStreamed ? absl::OkStatus()
                                                           : logged.Note(recovered.record);
          }));
  if (recovery.tail.last_lsn != engine.appended_lsn()) {
    return Wrong(absl::StrFormat("the log ends at LSN %d, the engine says %d",
                                 recovery.tail.last_lsn, engine.appended_lsn()));
  }
  if (entries.size() != logged.newest.size()) {
    return Wrong("the log holds other keys than the KeyDir");
  }
  for (const Entry& entry : entries) {
    if (logged.newest[entry.key_id] != entry.version) {
      return Wrong("the KeyDir holds another version");
    }
  }
  return absl::OkStatus();
}

Script::Script(FileSystem* fs, const Options& options, uint64_t seed)
    : fs_(fs), options_(options), rng_(seed) {}

Script::~Script() = default;

void Script::DropEngine() {
  stream_.reset();
  engine_.reset();
}

absl::Status Script::Open() {
  DropEngine();
  SLIP_ASSIGN_OR_RETURN(engine_, Engine::Open(fs_, kDirectory, options_, &rng_, nullptr));
  return account_.CheckReopened(*engine_);
}

absl::Status Script::Run(int step_count, OnError on_error) {
  SLIP_RETURN_IF_ERROR(Open());
  for (int step = 0; step < step_count; ++step) {
    absl::Status status = engine_ != nullptr ? Step() : Open();
    if (status.ok()) status = MaintainSome();
    if (status.ok()) continue;
    if (on_error == OnError::kStop || absl::IsInternal(status)) return status;
  }
  return absl::OkStatus();
}

absl::Status Script::Step() {
  switch (rng_.Below(12)) {
    case 0:
    case 1:
      return FlushSome();
    case 2:
      return Maintain();
    case 3: {
      if (rng_.Below(2) != 0) return Maintain();
      // A clean restart, or one as after SIGKILL: what is not flushed is gone.
      stream_.reset();
      absl::Status closed = rng_.Below(2) != 0 ? engine_->Close() : absl::OkStatus();
      engine_.reset();
      SLIP_RETURN_IF_ERROR(closed);
      return Open();
    }
    default:
      return has_streams_ && rng_.Below(2) == 0 ? StreamSome() : WriteSome();
  }
}

absl::Status Script::MaintainSome() {
  for (int i = 0; i < maintenance_per_step_; ++i) {
    SLIP_RETURN_IF_ERROR(engine_->Maintain().status());
  }
  return absl::OkStatus();
}

absl::Status Script::Maintain() {
  if (options_.memory_limit_bytes == 0) return engine_->Maintain().status();
  // A checkpoint takes several steps, and so do a merge and an eviction.
  for (uint64_t steps = 1 + rng_.Below(8); steps > 0; --steps) {
    SLIP_RETURN_IF_ERROR(engine_->Maintain().status());
  }
  return account_.CheckReads(*engine_);
}

absl::Status Script::WriteSome() {
  uint64_t count = rng_.Below(3) == 0 ? 1 + rng_.Below(3) : 1;
  Atomicity atomicity = rng_.Below(3) == 0 ? Atomicity::kEach : Atomicity::kAll;
  const bool is_large = has_large_transactions_ && rng_.Below(3) == 0;
  if (is_large) {
    count = kKeyCount / 2 + rng_.Below(kKeyCount / 2 + 1);
    atomicity = Atomicity::kAll;
  }
  const uint64_t first_key = rng_.Below(kKeyCount);
  std::vector<std::string> texts;
  for (uint64_t i = 0; i < count; ++i) {
    texts.push_back(absl::StrCat("key", (first_key + i) % kKeyCount));
    const bool is_long = is_large || rng_.Below(4) == 0;
    std::string value = rng_.Bytes(rng_.Below(is_long ? kValueBytesMax : 40));
    // One value in four can be compressed.
    if (value.size() % 4 == 0) std::fill(value.begin(), value.end(), 'z');
    texts.push_back(std::move(value));
  }
  std::vector<Mutation> mutations;
  for (uint64_t i = 0; i < count; ++i) {
    Mutation mutation{.key = texts[2 * i], .value = texts[2 * i + 1]};
    if (rng_.Below(5) == 0) mutation = {.kind = Mutation::Kind::kDelete, .key = texts[2 * i]};
    mutations.push_back(mutation);
  }
  const Precondition holds{.kind = Precondition::Kind::kAbsent, .key = "never put"};
  SLIP_ASSIGN_OR_RETURN(const WriteResult result,
                        atomicity == Atomicity::kAll
                            ? engine_->Transact({holds}, mutations, Noon())
                            : engine_->Write(mutations, atomicity, Noon()));
  account_.Wrote(mutations, atomicity, result);
  account_.Durable(engine_->durable_lsn());
  return absl::OkStatus();
}

// Adds to the open stream, or opens one; then commits or abandons it, or lets it be.
absl::Status Script::StreamSome() {
  if (stream_ == nullptr) {
    stream_ = std::make_unique<WriteStream>(engine_.get());
    streamed_.clear();
    streamed_texts_.clear();
  }
  const size_t first_new = streamed_.size();
  for (uint64_t count = 1 + rng_.Below(6); count > 0; --count) {
    const std::string& key =
        streamed_texts_.emplace_back(absl::StrCat("key", rng_.Below(kKeyCount)));
    const std::string& value = streamed_texts_.emplace_back(
        rng_.Bytes(rng_.Below(rng_.Below(2) == 0 ? kValueBytesMax : 40)));
    Mutation mutation{.key = key, .value = value};
    if (rng_.Below(5) == 0) mutation = {.kind = Mutation::Kind::kDelete, .key = key};
    streamed_.push_back(mutation);
  }
  const uint64_t what = rng_.Below(6);
  absl::Status status = engine_->Stream(absl::MakeSpan(streamed_).subspan(first_new), *stream_);
  if (status.ok() && (what < 2 || stream_->bytes > kStreamBytesMax)) {
    const Precondition holds{.kind = Precondition::Kind::kAbsent, .key = "never put"};
    const absl::StatusOr<WriteResult> result = engine_->CommitStream({holds}, *stream_, Noon());
    if (result.ok()) account_.Committed(streamed_, *result);
    status = result.status();
    stream_.reset();
  }
  if (!status.ok() || what == 2) stream_.reset();
  account_.Durable(engine_->durable_lsn());
  return status;
}

absl::Status Script::FlushSome() {
  const auto mode = rng_.Below(4) == 0 ? Engine::FlushMode::kWrite : Engine::FlushMode::kSync;
  SLIP_ASSIGN_OR_RETURN(const Lsn durable_lsn, engine_->Flush(mode));
  account_.Durable(durable_lsn);
  return absl::OkStatus();
}

}  // namespace slipstream::storage::testing
