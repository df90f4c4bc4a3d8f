#include "node/admin_service.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/escaping.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "merkle/tree.h"
#include "node/node_report.h"
#include "node/operations.h"
#include "node/real_clock.h"
#include "node/replica.h"
#include "node/unary_call.h"
#include "node/wire_values.h"
#include "slipstream/v1/admin.grpc.pb.h"
#include "slipstream/v1/admin.pb.h"
#include "storage/snapshot.h"

namespace slipstream::node {
namespace {

// How long Root waits for a peer, at most, and how much of the caller's time it leaves for the way
// back, so that the caller hears of the peers that did answer.
constexpr absl::Duration kPeerRootTimeout = absl::Seconds(1);
constexpr absl::Duration kAnswerMargin = absl::Milliseconds(200);
constexpr absl::Duration kPeerRootTimeoutMin = absl::Milliseconds(20);

// Asks the peers of one Root call; destroys itself when the last one has answered. Thread-safe.
class RootQuestion {
 public:
  RootQuestion(const Serving* serving, NodeSummary self, v1::RootResponse* response,
               UnaryCall* call)
      : serving_(*serving), self_(std::move(self)), response_(response), call_(call) {
    *response_->add_nodes() = ReportRoot(self_, serving_.listen_address->Get());
  }

  void Ask(absl::Duration timeout) {
    const std::vector<MemberState> members = serving_.replica->members();
    {
      absl::MutexLock lock(&mutex_);
      left_ = 1;  // This function, so that no answer ends the call before all are asked.
      nodes_.resize(members.size());
    }
    for (PeerIndex peer = 0; peer < members.size(); ++peer) {
      if (members[peer].self) continue;
      {
        absl::MutexLock lock(&mutex_);
        ++left_;
        nodes_[peer].set_endpoint(members[peer].endpoint);
        if (members[peer].summary.has_value()) {
          nodes_[peer].set_name(members[peer].summary->name);
        }
      }
      serving_.peers->Call(peer, ExchangeRootsRequest{.sender = self_}, timeout,
                           [this, peer](absl::StatusOr<PeerResponse> response, const WireBytes&) {
                             TakeAnswer(peer, std::move(response));
                           });
    }
    Leave();
  }

 private:
  void TakeAnswer(PeerIndex peer, absl::StatusOr<PeerResponse> response) {
    {
      absl::MutexLock lock(&mutex_);
      v1::RootResponse::NodeRoot& node = nodes_[peer];
      if (response.ok()) {
        const NodeSummary& summary = std::get<ExchangeRootsResponse>(*response).responder;
        // An address of this very node, which the replica has not found out yet.
        if (summary.node_id == self_.node_id) {
          node.clear_endpoint();
        } else {
          node = ReportRoot(summary, node.endpoint());
        }
      } else {
        node.set_error(absl::Utf8SafeCHexEscape(
            response.status().ToString(absl::StatusToStringMode::kDefault)));
      }
    }
    Leave();
  }

  void Leave() {
    {
      absl::MutexLock lock(&mutex_);
      if (--left_ > 0) return;
      bool converged = true;
      for (v1::RootResponse::NodeRoot& node : nodes_) {
        if (node.endpoint().empty()) continue;  // This node.
        converged = converged && node.reachable() && node.root() == self_.root.view();
        *response_->add_nodes() = std::move(node);
      }
      response_->set_converged(converged);
    }
    call_->FinishWith(absl::OkStatus());
    delete this;
  }

  const Serving& serving_;
  const NodeSummary self_;
  v1::RootResponse* const response_;
  UnaryCall* const call_;
  absl::Mutex mutex_;
  size_t left_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<v1::RootResponse::NodeRoot> nodes_ ABSL_GUARDED_BY(mutex_);  // By peer.
};

// Thread-safe.
class AdminService final : public v1::AdminService::CallbackService {
 public:
  explicit AdminService(const Serving* serving) : serving_(*serving) {}

  grpc::ServerUnaryReactor* Status(grpc::CallbackServerContext* context, const v1::StatusRequest*,
                                   v1::StatusResponse* response) override {
    return StartCall(serving_, context, 0, [this, response](UnaryCall* call) {
      *response = ReportStatus(serving_);
      call->FinishWith(absl::OkStatus());
    });
  }

  grpc::ServerUnaryReactor* Members(grpc::CallbackServerContext* context, const v1::MembersRequest*,
                                    v1::MembersResponse* response) override {
    return StartSlowCall(serving_, context, 0, [this, response](UnaryCall* call) {
      storage::Lsn lsn = 0;
      const NodeSummary self = serving_.replica->Summary(&lsn);
      *response = ReportMembers(serving_, self);
      call->FinishWhenDurable(lsn);
    });
  }

  grpc::ServerUnaryReactor* Root(grpc::CallbackServerContext* context,
                                 const v1::RootRequest* request,
                                 v1::RootResponse* response) override {
    const absl::Time deadline = absl::FromChrono(context->deadline());
    return StartSlowCall(
        serving_, context, 0, [this, request, response, deadline](UnaryCall* call) {
          storage::Lsn lsn = 0;
          NodeSummary self = serving_.replica->Summary(&lsn);
          if (request->local_only()) {
            *response->add_nodes() = ReportRoot(self, serving_.listen_address->Get());
            response->set_converged(true);
            return call->FinishWhenDurable(lsn);
          }
          // The peers learn this node's root too: only when it is durable.
          serving_.commits->RunWhenDurable(
              lsn, [this, call, response, deadline,
                    self = std::move(self)](const absl::Status& durable) mutable {
                if (!durable.ok()) return call->FinishWith(durable);
                const absl::Duration left = deadline - WallNow() - kAnswerMargin;
                auto* const question = new RootQuestion(&serving_, std::move(self), response, call);
                question->Ask(std::clamp(left, kPeerRootTimeoutMin, kPeerRootTimeout));
              });
        });
  }

  grpc::ServerUnaryReactor* Prove(grpc::CallbackServerContext* context,
                                  const v1::ProveRequest* request,
                                  v1::ProveResponse* response) override {
    return StartSlowCall(serving_, context, 0, [this, request, response](UnaryCall* call) {
      const absl::Status key_status =
          CheckKeySize(request->key(), serving_.replica->options().storage.limits);
      if (!key_status.ok()) return call->FinishWith(key_status);
      storage::Lsn lsn = 0;
      const absl::StatusOr<merkle::Tree::RootedProof> proof =
          serving_.replica->Prove(request->key(), &lsn);
      if (!proof.ok()) return call->FinishWith(proof.status());
      *response = ToProto(*proof);
      call->FinishWhenDurable(lsn);
    });
  }

  grpc::ServerUnaryReactor* SaveSnapshot(grpc::CallbackServerContext* context,
                                         const v1::SaveSnapshotRequest* request,
                                         v1::SaveSnapshotResponse* response) override {
    return StartSlowCall(serving_, context, 0, [this, request, response](UnaryCall* call) {
      const absl::StatusOr<storage::SavedSnapshot> saved =
          serving_.snapshots->Save(request->directory(), WallNow());
      if (saved.ok()) *response = ReportSnapshot(*saved);
      // What it tells of is durable already.
      call->FinishWith(saved.status());
    });
  }

 private:
  const Serving& serving_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeAdminService(const Serving* serving) {
  return std::make_unique<AdminService>(serving);
}

}  // namespace slipstream::node
