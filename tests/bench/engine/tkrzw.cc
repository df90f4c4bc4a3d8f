// As its users tune it: twice as many buckets as keys, so that chains are short and nothing is ever
// rebuilt; records updated in place; no checksums. It gives no durability short of syncing the
// whole file, so it takes no part in the workloads with sync.
#include "tests/bench/engine/tkrzw.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "tkrzw_dbm_hash.h"
#include "tkrzw_file.h"
#include "tkrzw_lib_common.h"

namespace slipstream::bench {
namespace {

constexpr int64_t kBucketsPerKey = 2;
constexpr int64_t kBucketsMin = 1024;

absl::Status StatusOf(const tkrzw::Status& status) {
  if (status == tkrzw::Status::SUCCESS) return absl::OkStatus();
  if (status == tkrzw::Status::NOT_FOUND_ERROR) return absl::NotFoundError("no such key");
  return absl::InternalError("tkrzw: " + tkrzw::ToString(status));
}

class Tkrzw final : public EngineUnderTest {
 public:
  absl::Status Open(const EngineOptions& options) {
    tkrzw::HashDBM::TuningParameters tuning;
    tuning.num_buckets =
        std::max(kBucketsMin, kBucketsPerKey * static_cast<int64_t>(options.key_count));
    return StatusOf(dbm_.OpenAdvanced(options.directory + "/data.tkh", true,
                                      tkrzw::File::OPEN_DEFAULT, tuning));
  }

  std::unique_ptr<EngineSession> NewSession() override;
  absl::Status Close() override { return StatusOf(dbm_.Close()); }
  tkrzw::HashDBM& dbm() { return dbm_; }

 private:
  tkrzw::HashDBM dbm_;
};

class TkrzwSession final : public EngineSession {
 public:
  explicit TkrzwSession(Tkrzw* tkrzw) : tkrzw_(tkrzw) {}

  absl::Status Put(absl::string_view key, absl::string_view value) override {
    return StatusOf(tkrzw_->dbm().Set({key.data(), key.size()}, {value.data(), value.size()}));
  }

  absl::StatusOr<absl::string_view> Get(absl::string_view key) override {
    SLIP_RETURN_IF_ERROR(StatusOf(tkrzw_->dbm().Get({key.data(), key.size()}, &value_)));
    return value_;
  }

 private:
  Tkrzw* const tkrzw_;
  std::string value_;
};

std::unique_ptr<EngineSession> Tkrzw::NewSession() { return std::make_unique<TkrzwSession>(this); }

}  // namespace

absl::StatusOr<std::unique_ptr<EngineUnderTest>> OpenTkrzw(const EngineOptions& options) {
  auto tkrzw = std::make_unique<Tkrzw>();
  SLIP_RETURN_IF_ERROR(tkrzw->Open(options));
  return tkrzw;
}

}  // namespace slipstream::bench
