// As its users tune it: a bloom filter of 10 bits a key, a write buffer of 64 MiB (16 times the
// default, which makes loading faster), the block cache that Slipstream's value cache gets, and
// behind it the whole page cache of the machine. Snappy only where the values can be compressed.
#include "tests/bench/engine/leveldb.h"

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/status_macros.h"
#include "leveldb/cache.h"
#include "leveldb/db.h"
#include "leveldb/filter_policy.h"
#include "leveldb/options.h"
#include "leveldb/slice.h"
#include "leveldb/status.h"
#include "leveldb/write_batch.h"

namespace slipstream::bench {
namespace {

constexpr size_t kWriteBufferBytes = 64 << 20;
constexpr int kFilterBitsPerKey = 10;
// LevelDB's own default.
constexpr size_t kCacheBytesMin = 8 << 20;

leveldb::Slice SliceOf(absl::string_view text) { return {text.data(), text.size()}; }

absl::Status StatusOf(const leveldb::Status& status) {
  if (status.ok()) return absl::OkStatus();
  if (status.IsNotFound()) return absl::NotFoundError("no such key");
  return absl::InternalError("leveldb: " + status.ToString());
}

class LevelDb final : public EngineUnderTest {
 public:
  explicit LevelDb(const EngineOptions& options)
      : filter_(leveldb::NewBloomFilterPolicy(kFilterBitsPerKey)),
        cache_(leveldb::NewLRUCache(options.cache_bytes > kCacheBytesMin ? options.cache_bytes
                                                                         : kCacheBytesMin)) {
    write_options_.sync = options.durability == Durability::kEveryPut;
  }

  absl::Status Open(const EngineOptions& options) {
    leveldb::Options open_options;
    open_options.create_if_missing = true;
    open_options.filter_policy = filter_.get();
    open_options.block_cache = cache_.get();
    open_options.write_buffer_size = kWriteBufferBytes;
    open_options.compression =
        options.is_compressible ? leveldb::kSnappyCompression : leveldb::kNoCompression;
    leveldb::DB* db = nullptr;
    SLIP_RETURN_IF_ERROR(
        StatusOf(leveldb::DB::Open(open_options, options.directory + "/data", &db)));
    db_.reset(db);
    return absl::OkStatus();
  }

  std::unique_ptr<EngineSession> NewSession() override;

  absl::Status Compact() override {
    db_->CompactRange(nullptr, nullptr);
    return absl::OkStatus();
  }

  absl::Status Close() override {
    db_.reset();
    return absl::OkStatus();
  }

  leveldb::DB& db() { return *db_; }
  const leveldb::WriteOptions& write_options() const { return write_options_; }

 private:
  const std::unique_ptr<const leveldb::FilterPolicy> filter_;
  const std::unique_ptr<leveldb::Cache> cache_;
  leveldb::WriteOptions write_options_;
  std::unique_ptr<leveldb::DB> db_;  // Uses the ones above.
};

class LevelDbSession final : public EngineSession {
 public:
  explicit LevelDbSession(LevelDb* leveldb) : leveldb_(leveldb) {}

  absl::Status Put(absl::string_view key, absl::string_view value) override {
    return StatusOf(leveldb_->db().Put(leveldb_->write_options(), SliceOf(key), SliceOf(value)));
  }

  absl::StatusOr<absl::string_view> Get(absl::string_view key) override {
    SLIP_RETURN_IF_ERROR(
        StatusOf(leveldb_->db().Get(leveldb::ReadOptions(), SliceOf(key), &value_)));
    return value_;
  }

  absl::Status PutMany(absl::Span<const KeyValue> pairs) override {
    leveldb::WriteBatch batch;
    for (const KeyValue& pair : pairs) batch.Put(SliceOf(pair.key), SliceOf(pair.value));
    return StatusOf(leveldb_->db().Write(leveldb_->write_options(), &batch));
  }

 private:
  LevelDb* const leveldb_;
  std::string value_;
};

std::unique_ptr<EngineSession> LevelDb::NewSession() {
  return std::make_unique<LevelDbSession>(this);
}

}  // namespace

absl::StatusOr<std::unique_ptr<EngineUnderTest>> OpenLevelDb(const EngineOptions& options) {
  auto leveldb = std::make_unique<LevelDb>(options);
  SLIP_RETURN_IF_ERROR(leveldb->Open(options));
  return leveldb;
}

}  // namespace slipstream::bench
