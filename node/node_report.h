// The answers of AdminService that need only a look at the node: its status and its members; and
// what a start found in the log, in words. Knows no gRPC.
#ifndef SLIPSTREAM_NODE_NODE_REPORT_H_
#define SLIPSTREAM_NODE_NODE_REPORT_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "node/replica.h"
#include "node/serving.h"
#include "slipstream/v1/admin.pb.h"
#include "storage/options.h"
#include "storage/recovery_report.h"
#include "storage/snapshot.h"

namespace slipstream::node {

// All functions here are thread-safe.

v1::StatusResponse ReportStatus(const Serving& serving);
// `self` is this node now.
v1::MembersResponse ReportMembers(const Serving& serving, const NodeSummary& self);

// The place in RootResponse of a member that answered.
v1::RootResponse::NodeRoot ReportRoot(const NodeSummary& summary, absl::string_view endpoint);

v1::SaveSnapshotResponse ReportSnapshot(const storage::SavedSnapshot& saved);

// A sentence for each thing that is worth telling; empty if the log was as it should be.
std::vector<std::string> RecoveryInWords(const storage::RecoveryReport& report);

// "always", "interval" or "none".
absl::string_view SyncPolicyName(storage::SyncPolicy policy);

// An actor or node id as 16 lower-case hexadecimal digits.
std::string IdToHex(uint64_t id);

}  // namespace slipstream::node

#endif  // SLIPSTREAM_NODE_NODE_REPORT_H_
