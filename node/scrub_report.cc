#include "node/scrub_report.h"

#include <cstdint>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/key_id.h"
#include "storage/scrub_progress.h"

namespace slipstream::node {
namespace {

std::string NameKeys(const storage::ScrubFinding& finding) {
  std::string names;
  for (const base::KeyId& key_id : finding.key_ids) {
    absl::StrAppend(&names, names.empty() ? "" : ", ", absl::BytesToHexString(key_id.view()));
  }
  const uint64_t unnamed_count = finding.key_count - finding.key_ids.size();
  if (unnamed_count != 0) absl::StrAppend(&names, " and ", unnamed_count, " more");
  return names;
}

std::string InWords(const storage::ScrubFinding& finding, Healers healers) {
  std::string text = absl::StrCat("segment ", finding.segment_number, " is damaged");
  if (finding.place_count != 0) {
    absl::StrAppend(&text, " in ", finding.place_count,
                    finding.place_count == 1 ? " place (" : " places (first: ", finding.cause, ")");
  }
  if (finding.key_count == 0) return absl::StrCat(text, "; no current record is");
  absl::StrAppend(&text, "; out of sight until they are replaced: ",
                  finding.key_count == 1 ? "key_id " : "key_ids ", NameKeys(finding));
  return absl::StrCat(text, healers == Healers::kPeers
                                ? "; repair fetches them from a peer"
                                : "; no peer has them: put them again or restore a backup");
}

}  // namespace

std::vector<std::string> ScrubInWords(const ScrubStep& step, Healers healers) {
  std::vector<std::string> sentences;
  if (step.store.finding.has_value()) sentences.push_back(InWords(*step.store.finding, healers));
  if (step.tree_difference_count != 0) {
    sentences.push_back(
        absl::StrCat("the Merkle tree differed from the entries in ", step.tree_difference_count,
                     step.tree_difference_count == 1 ? " bucket, which is" : " buckets, which are",
                     " hashed anew"));
  }
  return sentences;
}

}  // namespace slipstream::node
