#include "node/scan_stream.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/error_reason.h"
#include "base/key_id.h"
#include "base/status_macros.h"
#include "node/call_gate.h"
#include "node/grpc_status.h"
#include "node/real_clock.h"
#include "node/replica.h"
#include "node/wire_values.h"

namespace slipstream::node {
namespace {

constexpr size_t kPageItemsMax = 1000;
constexpr size_t kPageBytesMax = 1 << 20;
// A page token is this byte and the last key_id. Clients do not look into it.
constexpr char kTokenVersion = 1;

std::string TokenOf(const base::KeyId& last) {
  return absl::StrCat(absl::string_view(&kTokenVersion, 1), last.view());
}

absl::StatusOr<base::KeyId> ParseToken(absl::string_view token) {
  if (token[0] != kTokenVersion) {
    return InvalidField("page_token", "is none that a scan has returned");
  }
  return KeyIdFromBytes("page_token", token.substr(1));
}

// One scan. gRPC and the worker pool call it one after the other, so that only `cancelled_` is
// shared. Destroys itself when gRPC is done with it.
class ScanStream final : public grpc::ServerWriteReactor<v1::ScanResponse> {
 public:
  ScanStream(const Serving* serving, grpc::CallbackServerContext* context)
      : serving_(*serving), context_(context) {}

  void Start(const v1::ScanRequest& request) {
    const absl::Status status = Prepare(request);
    if (status.ok()) {
      ReadNextPage();
    } else {
      FinishWith(status);
    }
  }

  void OnWriteDone(bool ok) override {
    ticket_.RemoveBytes(page_bytes_);
    page_bytes_ = 0;
    v1::ScanResponse().Swap(&response_);  // Clear would keep the memory while the scan waits.
    if (!ok) {
      FinishWith(absl::CancelledError("the client is gone"));
    } else if (complete_) {
      FinishWith(absl::OkStatus());
    } else {
      ReadNextPage();
    }
  }

  void OnCancel() override { cancelled_.store(true, std::memory_order_relaxed); }
  void OnDone() override { delete this; }

 private:
  absl::Status Prepare(const v1::ScanRequest& request) {
    SLIP_ASSIGN_OR_RETURN(ticket_, serving_.gate->Enter());
    const size_t prefix_max = serving_.replica->options().storage.limits.key_bytes_max;
    if (request.prefix().size() > prefix_max) {
      return base::WithReason(
          absl::InvalidArgumentError(
              absl::StrCat("prefix: ", request.prefix().size(), " bytes, of at most ", prefix_max)),
          base::kReasonKeySize);
    }
    prefix_ = request.prefix();
    keys_only_ = request.keys_only();
    if (!request.page_token().empty()) {
      SLIP_ASSIGN_OR_RETURN(after_, ParseToken(request.page_token()));
    }
    if (request.page_size() != 0) items_left_ = request.page_size();
    return absl::OkStatus();
  }

  void ReadNextPage() {
    const absl::Status status = serving_.workers->Submit([this] { ReadPage(); });
    if (!status.ok()) FinishWith(status);
  }

  void ReadPage() {
    if (cancelled_.load(std::memory_order_relaxed)) {
      return FinishWith(absl::CancelledError("the client is gone"));
    }
    // The client has the token to go on with, on another node.
    if (serving_.gate->draining()) return FinishWith(DrainingError());
    ScanOptions options;
    options.key_prefix = prefix_;
    options.after = after_;
    options.keys_only = keys_only_;
    options.items_max =
        items_left_.has_value() ? std::min<uint64_t>(*items_left_, kPageItemsMax) : kPageItemsMax;
    options.bytes_max = kPageBytesMax;
    absl::StatusOr<ScanPage> page = serving_.replica->Scan(options, WallNow());
    if (!page.ok()) return FinishWith(page.status());
    const storage::Lsn lsn = page->lsn;
    Fill(*std::move(page));
    if (const absl::Status status = ticket_.AddBytes(response_.ByteSizeLong()); !status.ok()) {
      return FinishWith(status);
    }
    page_bytes_ = response_.ByteSizeLong();
    serving_.commits->RunWhenDurable(lsn, [this](const absl::Status& durable) {
      if (!durable.ok()) return FinishWith(durable);
      StartWrite(&response_);
    });
  }

  void Fill(ScanPage page) {
    for (ScanItem& scanned : page.items) {
      v1::ScanResponse::Item& item = *response_.add_items();
      item.set_key(std::move(scanned.record.key));
      item.set_value(std::move(scanned.record.value));
      *item.mutable_version() = ToProto(scanned.record.version);
      item.set_expires_at_ms(scanned.record.expires_at_ms);
      item.set_value_digest(std::string(scanned.value_digest.view()));
    }
    if (items_left_.has_value()) *items_left_ -= page.items.size();
    after_ = page.last_key_id;
    if (after_.has_value()) response_.set_next_page_token(TokenOf(*after_));
    complete_ = !after_.has_value() || items_left_ == 0u;
  }

  void FinishWith(const absl::Status& status) { Finish(ToGrpcStatus(status, context_)); }

  const Serving& serving_;
  grpc::CallbackServerContext* const context_;
  CallGate::Ticket ticket_;
  std::string prefix_;
  bool keys_only_ = false;
  absl::optional<base::KeyId> after_;
  absl::optional<uint64_t> items_left_;  // None: no limit.
  v1::ScanResponse response_;            // Being sent.
  size_t page_bytes_ = 0;                // Its size, while it holds bytes of the gate.
  bool complete_ = false;
  std::atomic<bool> cancelled_ = false;
};

}  // namespace

grpc::ServerWriteReactor<v1::ScanResponse>* StartScan(const Serving* serving,
                                                      grpc::CallbackServerContext* context,
                                                      const v1::ScanRequest& request) {
  auto* const stream = new ScanStream(serving, context);
  stream->Start(request);
  return stream;
}

}  // namespace slipstream::node
