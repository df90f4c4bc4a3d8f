#include "cli/cluster_commands.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "cli/client.h"
#include "cli/cluster_report.h"
#include "cli/command_line.h"
#include "cli/duration.h"
#include "cli/exit_code.h"
#include "cli/json.h"
#include "cli/session.h"
#include "cli/verdict.h"
#include "slipstream/v1/admin.pb.h"

namespace slipstream::cli {
namespace {

constexpr absl::Duration kWaitTimeout = absl::Seconds(30);
// How long wait bears with silence, of the whole time it has.
constexpr absl::Duration kWaitCallTimeout = absl::Seconds(2);
constexpr absl::Duration kWaitPollPeriod = absl::Milliseconds(100);

void PrintRoots(const v1::RootResponse& roots, Session& session) {
  session.out << (session.format == OutputFormat::kJson ? Line(RootJson(roots)) : RootTable(roots));
}

absl::StatusOr<ExitCode> Root(Session& session) {
  SLIP_ASSIGN_OR_RETURN(const std::unique_ptr<Client> client,
                        Client::Connect(session.endpoints, session.timeout));
  SLIP_ASSIGN_OR_RETURN(const v1::RootResponse roots, client->Root());
  const Verdict verdict = Judge(roots);
  if (session.format != OutputFormat::kRaw) {
    PrintRoots(roots, session);
  } else if (verdict.converged) {
    session.out << absl::BytesToHexString(roots.nodes(0).root()) << "\n";
  } else {
    session.error << "slipctl: " << verdict.text << "\n";
  }
  return verdict.converged ? ExitCode::kOk : ExitCode::kNotConverged;
}

absl::StatusOr<ExitCode> Status(Session& session) {
  SLIP_ASSIGN_OR_RETURN(const std::unique_ptr<Client> client,
                        Client::Connect(session.endpoints, session.timeout));
  SLIP_ASSIGN_OR_RETURN(const v1::StatusResponse status, client->Status());
  session.out << (session.format == OutputFormat::kJson ? Line(StatusJson(status))
                                                        : StatusTable(status));
  return ExitCode::kOk;
}

absl::StatusOr<ExitCode> Members(Session& session) {
  SLIP_ASSIGN_OR_RETURN(const std::unique_ptr<Client> client,
                        Client::Connect(session.endpoints, session.timeout));
  SLIP_ASSIGN_OR_RETURN(const v1::MembersResponse members, client->Members());
  session.out << (session.format == OutputFormat::kJson ? Line(MembersJson(members))
                                                        : MembersTable(members));
  return ExitCode::kOk;
}

// What wait lives through: the nodes that it waits for come and go.
bool IsPassing(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
}

}  // namespace

absl::StatusOr<ExitCode> ClusterCommands::Wait(Session& session) const {
  if (!converged_) return UsageError("say what to wait for: --converged");
  const absl::Time deadline = absl::Now() + session.timeout;
  const absl::Duration call_timeout = std::min(session.timeout, kWaitCallTimeout);
  // A wrong address is told at once; a node that leaves later is waited for.
  SLIP_ASSIGN_OR_RETURN(std::unique_ptr<Client> client,
                        Client::Connect(session.endpoints, call_timeout));
  std::string last = "no answer";
  while (true) {
    const absl::StatusOr<v1::RootResponse> roots = client->Root(deadline - absl::Now());
    if (roots.ok()) {
      const Verdict verdict = Judge(*roots);
      if (verdict.converged) {
        PrintRoots(*roots, session);
        return ExitCode::kOk;
      }
      last = verdict.text;
    } else if (IsPassing(roots.status())) {
      auto reconnected = Client::Connect(session.endpoints, call_timeout);
      if (reconnected.ok()) client = *std::move(reconnected);
    } else {
      return roots.status();
    }
    if (absl::Now() + kWaitPollPeriod >= deadline) {
      return absl::DeadlineExceededError(
          absl::StrCat("timed out after ", DescribeDuration(session.timeout), ": ", last));
    }
    absl::SleepFor(kWaitPollPeriod);
  }
}

void ClusterCommands::Register(CommandLine& line) {
  line.Add({.name = "root",
            .help = {.group = "Cluster",
                     .summary = "Compare the roots of all members",
                     .details = "Prints one line for each member that the node knows, and a "
                                "verdict. Equal roots mean\nequal data. Exits with 5 if the "
                                "members do not agree. -o raw prints the common root alone.",
                     .examples = {"slipctl root", "slipctl root -o json"}},
            .has_raw_output = true},
           Root);
  line.Add({.name = "status",
            .help = {.group = "Cluster",
                     .summary = "Describe one node",
                     .examples = {"slipctl status",
                                  "slipctl status -o json --endpoint 127.0.0.1:7401"}}},
           Status);
  line.Add({.name = "members",
            .help = {.group = "Cluster",
                     .summary = "List the members that a node knows",
                     .examples = {"slipctl members", "slipctl members -o json"}}},
           Members);
  CLI::App& wait = line.Add(
      {.name = "wait",
       .help = {.group = "Cluster",
                .summary = "Wait until all members agree",
                .details = "Exits with 0 as soon as all members have the same root, with 124 if "
                           "they do not within\nthe timeout (default 30s), saying who differs.",
                .examples = {"slipctl wait --converged",
                             "slipctl wait --converged --timeout 5m --endpoint 127.0.0.1:7401"}},
       .timeout = kWaitTimeout},
      [this](Session& session) { return Wait(session); });
  wait.add_flag("--converged", converged_, "Wait for equal roots on all members");
}

}  // namespace slipstream::cli
