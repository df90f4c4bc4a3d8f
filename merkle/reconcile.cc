#include "merkle/reconcile.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/coding.h"
#include "base/status_macros.h"

namespace slipstream::merkle {
namespace {

// The least that one entry of a verdict takes on the wire: a version.
constexpr size_t kEntryBytesMin = 16;

ReconcileLimits Sanitized(ReconcileLimits limits) {
  limits.list_entries_max = std::max<size_t>(1, limits.list_entries_max);
  limits.differences_max = std::max<size_t>(1, limits.differences_max);
  return limits;
}

// Fills `list` with all entries under `prefix` and returns true, if they are few enough for a list.
bool ListIfFew(ReconcileView& view, const base::KeyPrefix& prefix, const ReconcileLimits& limits,
               EntryList& list) {
  list.prefix = prefix;
  list.entries = view.ListEntries(base::RangeOf(prefix), limits.list_entries_max + 1);
  return list.entries.size() <= limits.list_entries_max;
}

// The part of an answer that handles one item.
struct ItemAnswer {
  std::vector<ChildFingerprints> subtrees;
  std::vector<EntryList> lists;
  std::vector<ListVerdict> verdicts;

  size_t bytes() const {
    size_t total = 0;
    for (const ChildFingerprints& subtree : subtrees) total += BytesOf(subtree);
    for (const EntryList& list : lists) total += BytesOf(list);
    for (const ListVerdict& verdict : verdicts) total += BytesOf(verdict);
    return total;
  }
};

ItemAnswer AnswerSubtree(ReconcileView& view, const SessionSalt& salt,
                         const ChildFingerprints& theirs, const ReconcileLimits& limits) {
  ItemAnswer answer;
  const ChildFingerprints mine = FingerprintChildren(view, salt, theirs.prefix);
  for (const base::KeyPrefix& child : DifferingChildren(mine, theirs)) {
    if (EntryList list; ListIfFew(view, child, limits, list)) {
      answer.lists.push_back(std::move(list));
    } else {
      answer.subtrees.push_back(FingerprintChildren(view, salt, child));
    }
  }
  return answer;
}

ItemAnswer AnswerList(ReconcileView& view, const SessionSalt& salt, const EntryList& theirs,
                      const ReconcileLimits& limits) {
  ItemAnswer answer;
  // One more than could both be in their list and fit into a verdict: more need not be looked at.
  const size_t count_max = limits.message_bytes_max / kEntryBytesMin + theirs.entries.size() + 1;
  const std::vector<EntrySummary> mine = view.ListEntries(base::RangeOf(theirs.prefix), count_max);
  EntryDifferences differences = CompareEntries(mine, theirs.entries);
  ListVerdict verdict{.prefix = theirs.prefix, .wanted = {}, .newer = {}};
  verdict.newer = std::move(differences.mine_newer);
  for (const EntrySummary& entry : differences.theirs_newer) {
    verdict.wanted.push_back(entry.key_id);
  }
  if (verdict.wanted.empty() && verdict.newer.empty()) return answer;
  const bool can_go_below = theirs.prefix.bit_count < base::kKeyIdBits;
  if (BytesOf(verdict) > limits.message_bytes_max && can_go_below) {
    answer.subtrees.push_back(FingerprintChildren(view, salt, theirs.prefix));
  } else {
    answer.verdicts.push_back(std::move(verdict));
  }
  return answer;
}

template <typename T>
void MoveTo(std::vector<T>& from, std::vector<T>& to) {
  std::move(from.begin(), from.end(), std::back_inserter(to));
}

struct PrefixOrder {
  bool operator()(const base::KeyPrefix& a, const base::KeyPrefix& b) const {
    return std::tie(a.bits, a.bit_count) < std::tie(b.bits, b.bit_count);
  }
};

// The items of a request that a response handles, found by their prefixes.
class HandledItems {
 public:
  // `request` must outlive this object.
  HandledItems(const ReconcileRequest& request, size_t count) {
    const size_t subtree_count = std::min(count, request.subtrees.size());
    for (size_t i = 0; i < subtree_count; ++i) items_[request.subtrees[i].prefix] = nullptr;
    for (size_t i = 0; i < count - subtree_count; ++i) {
      items_[request.lists[i].prefix] = &request.lists[i];
    }
  }

  // Returns the list that was asked about `prefix`, or null.
  const EntryList* FindList(const base::KeyPrefix& prefix) const {
    const auto found = items_.find(prefix);
    return found == items_.end() ? nullptr : found->second;
  }

  // Returns whether the subtree above `prefix` was asked about.
  bool HasParent(const base::KeyPrefix& prefix) const {
    if (prefix.bit_count < kChildBits) return false;
    const auto found = items_.find(base::MakePrefix(prefix.bits, prefix.bit_count - kChildBits));
    return found != items_.end() && found->second == nullptr;
  }

 private:
  // Null for a subtree.
  std::map<base::KeyPrefix, const EntryList*, PrefixOrder> items_;
};

const EntrySummary* FindEntry(const EntryList& list, const base::KeyId& key_id) {
  const auto found = std::lower_bound(
      list.entries.begin(), list.entries.end(), key_id,
      [](const EntrySummary& entry, const base::KeyId& id) { return entry.key_id < id; });
  return found != list.entries.end() && found->key_id == key_id ? &*found : nullptr;
}

// Checks that `verdict` may follow from the list it answers.
absl::Status CheckVerdict(const ListVerdict& verdict, const EntryList& asked) {
  for (const base::KeyId& key_id : verdict.wanted) {
    if (FindEntry(asked, key_id) == nullptr) {
      return InvalidMessage(absl::StrCat("the verdict on ", ToString(asked.prefix),
                                         " wants an entry that was not listed"));
    }
  }
  for (const EntrySummary& entry : verdict.newer) {
    const EntrySummary* listed = FindEntry(asked, entry.key_id);
    if (listed == nullptr) continue;
    if (!(entry.version > listed->version) ||
        std::binary_search(verdict.wanted.begin(), verdict.wanted.end(), entry.key_id)) {
      return InvalidMessage(absl::StrCat("the verdict on ", ToString(asked.prefix),
                                         " contradicts the list or itself"));
    }
  }
  return absl::OkStatus();
}

// Checks that `response` is an answer to `request`.
absl::Status CheckAnswer(const ReconcileResponse& response, const ReconcileRequest& request) {
  const size_t asked_count = request.subtrees.size() + request.lists.size();
  if (response.handled_count == 0 || response.handled_count > asked_count) {
    return InvalidMessage(
        absl::StrCat(response.handled_count, " items handled of ", asked_count, " asked"));
  }
  SLIP_RETURN_IF_ERROR(CheckForm(response));
  const HandledItems handled(request, response.handled_count);
  for (const ChildFingerprints& subtree : response.subtrees) {
    if (handled.HasParent(subtree.prefix) || handled.FindList(subtree.prefix) != nullptr) continue;
    return InvalidMessage(
        absl::StrCat("the subtree ", ToString(subtree.prefix), " was not asked about"));
  }
  for (const EntryList& list : response.lists) {
    if (handled.HasParent(list.prefix)) continue;
    return InvalidMessage(absl::StrCat("the list ", ToString(list.prefix), " was not asked about"));
  }
  for (const ListVerdict& verdict : response.verdicts) {
    const EntryList* asked = handled.FindList(verdict.prefix);
    if (asked == nullptr) {
      return InvalidMessage(
          absl::StrCat("the verdict on ", ToString(verdict.prefix), " was not asked for"));
    }
    SLIP_RETURN_IF_ERROR(CheckVerdict(verdict, *asked));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ReconcileResponse> Respond(ReconcileView& view, const ReconcileRequest& request,
                                          const ReconcileLimits& limits) {
  const ReconcileLimits bounds = Sanitized(limits);
  SLIP_RETURN_IF_ERROR(CheckForm(request));
  ReconcileResponse response;
  size_t bytes = 0;
  const size_t item_count =
      std::min(kRequestItemsMax, request.subtrees.size() + request.lists.size());
  for (size_t i = 0; i < item_count; ++i) {
    ItemAnswer answer =
        i < request.subtrees.size()
            ? AnswerSubtree(view, request.salt, request.subtrees[i], bounds)
            : AnswerList(view, request.salt, request.lists[i - request.subtrees.size()], bounds);
    bytes += answer.bytes();
    // The first is always answered, so that every answer is progress.
    if (i != 0 && bytes > bounds.message_bytes_max) break;
    MoveTo(answer.subtrees, response.subtrees);
    MoveTo(answer.lists, response.lists);
    MoveTo(answer.verdicts, response.verdicts);
    ++response.handled_count;
  }
  return response;
}

Reconciler::Reconciler(ReconcileView* view, const ReconcileLimits& limits, base::Random* rng)
    : view_(view), limits_(Sanitized(limits)) {
  base::StoreLittle(rng->Next(), salt_.data());
  base::StoreLittle(rng->Next(), salt_.data() + sizeof(uint64_t));
  pending_.push_back(base::KeyPrefix{});
}

ReconcileRequest Reconciler::NextRequest() {
  SLIP_CHECK(!awaiting_response_);
  SLIP_CHECK(!pending_.empty());
  ReconcileRequest request{.salt = salt_, .subtrees = {}, .lists = {}};
  size_t bytes = 0;
  for (size_t count = 0; count < request_items_max_ && !pending_.empty(); ++count) {
    const base::KeyPrefix prefix = pending_.front();
    EntryList list;
    // A node with no or few entries starts with a subtree all the same: its peer may have millions,
    // and 16 answers can be taken one by one.
    const bool is_list = prefix.bit_count != 0 && ListIfFew(*view_, prefix, limits_, list);
    ChildFingerprints subtree;
    if (!is_list) subtree = FingerprintChildren(*view_, salt_, prefix);
    bytes += is_list ? BytesOf(list) : BytesOf(subtree);
    if (count != 0 && bytes > limits_.message_bytes_max) break;
    pending_.pop_front();
    if (is_list) {
      request.lists.push_back(std::move(list));
    } else {
      request.subtrees.push_back(std::move(subtree));
    }
  }
  ++request_count_;
  awaiting_response_ = true;
  asked_ = request;
  return request;
}

absl::Status Reconciler::HandleResponse(const ReconcileResponse& response) {
  if (!awaiting_response_) return InvalidMessage("a response to no request");
  awaiting_response_ = false;
  if (absl::Status status = CheckAnswer(response, asked_); !status.ok()) {
    End();
    return status;
  }
  RequeueAfter(response.handled_count);
  for (const ListVerdict& verdict : response.verdicts) {
    for (const base::KeyId& key_id : verdict.wanted) AddOffered(key_id);
    for (const EntrySummary& entry : verdict.newer) AddNeeded(entry);
  }
  for (const EntryList& list : response.lists) HandleList(list);
  for (const ChildFingerprints& theirs : response.subtrees) {
    const ChildFingerprints mine = FingerprintChildren(*view_, salt_, theirs.prefix);
    for (const base::KeyPrefix& child : DifferingChildren(mine, theirs)) AskLater(child);
  }
  if (differences_left() == 0) End();
  if (!pending_.empty() && request_count_ >= limits_.requests_max) {
    End();
    return InvalidMessage(
        absl::StrCat("the session is not over after ", request_count_, " requests"));
  }
  return absl::OkStatus();
}

std::vector<EntrySummary> Reconciler::TakeNeeded() { return std::exchange(needed_, {}); }

std::vector<base::KeyId> Reconciler::TakeOffered() { return std::exchange(offered_, {}); }

void Reconciler::End() { pending_.clear(); }

void Reconciler::AskLater(const base::KeyPrefix& prefix) {
  if (pending_.size() < limits_.differences_max) pending_.push_back(prefix);
}

void Reconciler::AddNeeded(const EntrySummary& entry) {
  if (differences_left() == 0) return;
  ++found_count_;
  needed_.push_back(entry);
}

void Reconciler::AddOffered(const base::KeyId& key_id) {
  if (differences_left() == 0) return;
  ++found_count_;
  offered_.push_back(key_id);
}

void Reconciler::RequeueAfter(size_t handled_count) {
  const size_t asked_count = asked_.subtrees.size() + asked_.lists.size();
  for (size_t i = asked_count; i-- > handled_count;) {
    const size_t subtree_count = asked_.subtrees.size();
    pending_.push_front(i < subtree_count ? asked_.subtrees[i].prefix
                                          : asked_.lists[i - subtree_count].prefix);
  }
  request_items_max_ = handled_count < asked_count
                           ? handled_count
                           : std::min(kRequestItemsMax, 2 * request_items_max_);
}

void Reconciler::HandleList(const EntryList& list) {
  // One more than could both be in their list and still be handed out.
  const size_t count_max = differences_left() + list.entries.size() + 1;
  const std::vector<EntrySummary> mine = view_->ListEntries(base::RangeOf(list.prefix), count_max);
  const EntryDifferences differences = CompareEntries(mine, list.entries);
  for (const EntrySummary& entry : differences.mine_newer) AddOffered(entry.key_id);
  for (const EntrySummary& entry : differences.theirs_newer) AddNeeded(entry);
}

}  // namespace slipstream::merkle
