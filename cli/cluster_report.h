// What a node says of itself and its cluster, as tables for people and JSON for scripts.
#ifndef SLIPSTREAM_CLI_CLUSTER_REPORT_H_
#define SLIPSTREAM_CLI_CLUSTER_REPORT_H_

#include <string>

#include "cli/json.h"
#include "slipstream/v1/admin.pb.h"

namespace slipstream::cli {

// One line for each member and, last, the verdict.
std::string RootTable(const v1::RootResponse& roots);
Json RootJson(const v1::RootResponse& roots);

// Two columns: what, and how much.
std::string StatusTable(const v1::StatusResponse& status);
// All fields, under the names that they have in admin.proto; ids and clocks in hexadecimal.
Json StatusJson(const v1::StatusResponse& status);

// One line for each member, a legend and a line of totals.
std::string MembersTable(const v1::MembersResponse& members);
Json MembersJson(const v1::MembersResponse& members);

}  // namespace slipstream::cli

#endif  // SLIPSTREAM_CLI_CLUSTER_REPORT_H_
