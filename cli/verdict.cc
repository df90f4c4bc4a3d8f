#include "cli/verdict.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "cli/connection_error.h"
#include "cli/text.h"
#include "slipstream/v1/admin.pb.h"

namespace slipstream::cli {
namespace {

using NodeRoot = v1::RootResponse::NodeRoot;

// The members that have one root, in the order of the answer.
struct Camp {
  std::string root;
  uint64_t key_count = 0;
  std::vector<std::string> names;
};

std::string NameOf(const NodeRoot& node) {
  return node.name().empty() ? node.endpoint() : Escape(node.name());
}

std::string DescribeRoot(const Camp& camp) {
  return absl::StrCat("root ", ShortRoot(camp.root), " (",
                      FormatCount(camp.key_count, "key", "keys"), ")");
}

std::vector<Camp> FindCamps(const v1::RootResponse& roots) {
  std::vector<Camp> camps;
  for (const NodeRoot& node : roots.nodes()) {
    if (!node.reachable()) continue;
    const auto same_root = [&node](const Camp& camp) { return camp.root == node.root(); };
    auto camp = std::find_if(camps.begin(), camps.end(), same_root);
    if (camp == camps.end()) {
      camp = camps.insert(camps.end(), Camp{node.root(), node.key_count(), {}});
    }
    camp->names.push_back(NameOf(node));
  }
  std::stable_sort(camps.begin(), camps.end(),
                   [](const Camp& a, const Camp& b) { return a.names.size() > b.names.size(); });
  return camps;
}

// Says who has which root, the greatest camp first.
void DescribeCamps(const std::vector<Camp>& camps, std::vector<std::string>& parts) {
  for (const Camp& camp : camps) {
    const absl::string_view verb = camp.names.size() == 1 ? " has " : " have ";
    parts.push_back(absl::StrCat(absl::StrJoin(camp.names, ", "), verb, DescribeRoot(camp)));
  }
}

}  // namespace

std::string ShortRoot(absl::string_view root) {
  return absl::StrCat(absl::BytesToHexString(root.substr(0, 4)), "…");
}

Verdict Judge(const v1::RootResponse& roots) {
  const std::vector<Camp> camps = FindCamps(roots);
  std::vector<std::string> parts;
  for (const NodeRoot& node : roots.nodes()) {
    if (node.reachable()) continue;
    const std::string why =
        node.error().empty() ? "no answer yet" : ExplainConnectionFailure(node.error());
    parts.push_back(absl::StrCat(NameOf(node), " does not answer (", why, ")"));
  }
  if (camps.size() == 1 && parts.empty()) {
    const Camp& all = camps.front();
    if (all.names.size() == 1) {
      return {.converged = true, .text = absl::StrCat("the only member has ", DescribeRoot(all))};
    }
    return {
        .converged = true,
        .text = absl::StrCat("all ", all.names.size(), " members agree on ", DescribeRoot(all))};
  }
  DescribeCamps(camps, parts);
  if (parts.empty()) parts.push_back("no member is known");
  return {.converged = false, .text = absl::StrCat("not converged: ", absl::StrJoin(parts, "; "))};
}

}  // namespace slipstream::cli
