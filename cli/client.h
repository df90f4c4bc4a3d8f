// Client: a connection to one node, as blocking calls.
//
// It answers at once when nothing listens, and says why in words. gRPC stays behind this header.
#ifndef SLIPSTREAM_CLI_CLIENT_H_
#define SLIPSTREAM_CLI_CLIENT_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "slipstream/v1/admin.pb.h"
#include "slipstream/v1/kv.pb.h"

namespace slipstream::cli {

// Speaks to the first of some endpoints that can be reached. Errors are the server's, with its
// reason (base::ReasonOf), or UNAVAILABLE for a lost connection and DEADLINE_EXCEEDED when no
// answer came in time. Not thread-safe.
class Client {
 public:
  // Connects to the first of `endpoints` (at least one) that answers within its share of `timeout`.
  // UNAVAILABLE, with the cause for each, if none does. `timeout` is also the longest silence that
  // later calls bear with.
  static absl::StatusOr<std::unique_ptr<Client>> Connect(const std::vector<std::string>& endpoints,
                                                         absl::Duration timeout);
  ~Client();

  // The endpoint that answered.
  const std::string& endpoint() const;

  absl::StatusOr<v1::GetResponse> Get(absl::string_view key);
  absl::StatusOr<v1::PutResponse> Put(const v1::PutRequest& request);
  absl::StatusOr<v1::DeleteResponse> Delete(absl::string_view key);
  // ABORTED (TRANSACTION_CONFLICT): a precondition does not hold, nothing was done.
  absl::StatusOr<v1::TransactResponse> Transact(const v1::TransactRequest& request);
  absl::StatusOr<v1::StatusResponse> Status();
  absl::StatusOr<v1::MembersResponse> Members();
  // Waits for at most `timeout`, and never longer than the client's.
  absl::StatusOr<v1::RootResponse> Root(absl::Duration timeout = absl::InfiniteDuration());
  absl::StatusOr<v1::ProveResponse> Prove(absl::string_view key);
  // `directory` is an absolute path on the node's host. Waits for at most `timeout`, not the
  // client's: it takes as long as reading all the node's data.
  absl::StatusOr<v1::SaveSnapshotResponse> SaveSnapshot(absl::string_view directory,
                                                        absl::Duration timeout);

  // Hands each item of the listing to `take`; an error of `take` ends the call and is returned.
  absl::Status Scan(const v1::ScanRequest& request,
                    absl::FunctionRef<absl::Status(const v1::ScanResponse::Item&)> take);

  // Sends the groups that `next` makes until it returns false, a few of them under way at a time,
  // and hands each answer, in the order of the groups, to `take`. An error of `take` ends the call
  // and is returned; groups under way may have been applied.
  absl::Status Pipeline(absl::FunctionRef<bool(v1::PipelineRequest&)> next,
                        absl::FunctionRef<absl::Status(const v1::PipelineResponse&)> take);

 private:
  struct Connection;

  Client(std::string endpoint, std::unique_ptr<Connection> connection, absl::Duration timeout);

  std::string endpoint_;
  std::unique_ptr<Connection> connection_;
  absl::Duration timeout_;
};

}  // namespace slipstream::cli

#endif  // SLIPSTREAM_CLI_CLIENT_H_
