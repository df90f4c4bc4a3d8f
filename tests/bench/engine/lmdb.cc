// As its users tune it: without sync, MDB_NOSYNC | MDB_WRITEMAP, its fastest way to load, at the
// price that a crash of the machine may destroy the file; with sync, its defaults, which are safe.
// Read transactions are reset and renewed, not begun anew, and values are compared where they lie
// in the map, without a copy. One put is one transaction, as it is one acknowledged write.
#include "tests/bench/engine/lmdb.h"

// Not in quotes, which would find the file above.
#include <lmdb.h>

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/check.h"
#include "base/status_macros.h"

namespace slipstream::bench {
namespace {

constexpr unsigned kReadersMax = 512;
constexpr mdb_mode_t kFileMode = 0644;
// Pages are split at random keys, half full at worst, and copied on each write.
constexpr uint64_t kMapBytesMin = uint64_t{1} << 30;
constexpr uint64_t kMapFactor = 6;
constexpr uint64_t kBytesPerEntry = 64;

absl::Status StatusOf(int code) {
  if (code == MDB_SUCCESS) return absl::OkStatus();
  if (code == MDB_NOTFOUND) return absl::NotFoundError("no such key");
  return absl::InternalError(absl::StrCat("lmdb: ", mdb_strerror(code)));
}

// LMDB does not write through it.
MDB_val ValueOf(absl::string_view text) {
  return {.mv_size = text.size(), .mv_data = const_cast<char*>(text.data())};
}

class Lmdb final : public EngineUnderTest {
 public:
  ~Lmdb() override {
    if (environment_ != nullptr) mdb_env_close(environment_);
  }

  absl::Status Open(const EngineOptions& options) {
    const uint64_t bytes = options.key_count * (options.value_bytes + kBytesPerEntry);
    const unsigned flags = options.durability == Durability::kEveryPut
                               ? MDB_NOTLS
                               : MDB_NOTLS | MDB_NOSYNC | MDB_WRITEMAP;
    SLIP_RETURN_IF_ERROR(StatusOf(mdb_env_create(&environment_)));
    SLIP_RETURN_IF_ERROR(
        StatusOf(mdb_env_set_mapsize(environment_, kMapBytesMin + bytes * kMapFactor)));
    SLIP_RETURN_IF_ERROR(StatusOf(mdb_env_set_maxreaders(environment_, kReadersMax)));
    SLIP_RETURN_IF_ERROR(
        StatusOf(mdb_env_open(environment_, options.directory.c_str(), flags, kFileMode)));
    MDB_txn* transaction = nullptr;
    SLIP_RETURN_IF_ERROR(StatusOf(mdb_txn_begin(environment_, nullptr, 0, &transaction)));
    if (absl::Status status = StatusOf(mdb_dbi_open(transaction, nullptr, 0, &table_));
        !status.ok()) {
      mdb_txn_abort(transaction);
      return status;
    }
    return StatusOf(mdb_txn_commit(transaction));
  }

  std::unique_ptr<EngineSession> NewSession() override;

  absl::Status PutAll(absl::Span<const KeyValue> pairs) {
    MDB_txn* transaction = nullptr;
    SLIP_RETURN_IF_ERROR(StatusOf(mdb_txn_begin(environment_, nullptr, 0, &transaction)));
    for (const KeyValue& pair : pairs) {
      MDB_val key = ValueOf(pair.key);
      MDB_val value = ValueOf(pair.value);
      if (absl::Status status = StatusOf(mdb_put(transaction, table_, &key, &value, 0));
          !status.ok()) {
        mdb_txn_abort(transaction);
        return status;
      }
    }
    return StatusOf(mdb_txn_commit(transaction));
  }

  absl::Status Close() override {
    mdb_env_close(environment_);
    environment_ = nullptr;
    return absl::OkStatus();
  }

  MDB_env* environment() { return environment_; }
  MDB_dbi table() const { return table_; }

 private:
  MDB_env* environment_ = nullptr;
  MDB_dbi table_ = 0;
};

class LmdbSession final : public EngineSession {
 public:
  explicit LmdbSession(Lmdb* lmdb) : lmdb_(lmdb) {
    SLIP_CHECK_OK(StatusOf(mdb_txn_begin(lmdb->environment(), nullptr, MDB_RDONLY, &transaction_)));
    mdb_txn_reset(transaction_);
  }
  ~LmdbSession() override { mdb_txn_abort(transaction_); }

  absl::Status Put(absl::string_view key, absl::string_view value) override {
    const KeyValue pair{.key = key, .value = value};
    return PutMany(absl::MakeConstSpan(&pair, 1));
  }

  absl::StatusOr<absl::string_view> Get(absl::string_view key) override {
    EndRead();
    SLIP_RETURN_IF_ERROR(StatusOf(mdb_txn_renew(transaction_)));
    reading_ = true;
    MDB_val wanted = ValueOf(key);
    MDB_val value;
    SLIP_RETURN_IF_ERROR(StatusOf(mdb_get(transaction_, lmdb_->table(), &wanted, &value)));
    return absl::string_view(static_cast<const char*>(value.mv_data), value.mv_size);
  }

  absl::Status PutMany(absl::Span<const KeyValue> pairs) override {
    EndRead();
    return lmdb_->PutAll(pairs);
  }

 private:
  // A snapshot that is held keeps old pages from being used again.
  void EndRead() {
    if (reading_) mdb_txn_reset(transaction_);
    reading_ = false;
  }

  Lmdb* const lmdb_;
  MDB_txn* transaction_ = nullptr;
  bool reading_ = false;
};

std::unique_ptr<EngineSession> Lmdb::NewSession() { return std::make_unique<LmdbSession>(this); }

}  // namespace

absl::StatusOr<std::unique_ptr<EngineUnderTest>> OpenLmdb(const EngineOptions& options) {
  auto lmdb = std::make_unique<Lmdb>();
  SLIP_RETURN_IF_ERROR(lmdb->Open(options));
  return lmdb;
}

}  // namespace slipstream::bench
