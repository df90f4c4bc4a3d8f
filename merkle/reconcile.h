// Reconciliation: finds the entries in which two replicas differ, as pure message handling.
//
// The initiator owns a Reconciler and drives it: NextRequest -> transport -> HandleResponse, until
// it is done. The answering side calls Respond, keeps nothing, pins nothing. All differing subtrees
// advance in parallel, four bits a half-trip; both sides compare child digests shortened to 8 bytes
// under a salt of the session; subtrees of a few entries are sent as lists of (key_id, version),
// tombstones included. Transport, records and applying them are the caller's. Protocol:
// docs/merkle.md.
#ifndef SLIPSTREAM_MERKLE_RECONCILE_H_
#define SLIPSTREAM_MERKLE_RECONCILE_H_

#include <cstddef>
#include <deque>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/key_id.h"
#include "base/random.h"
#include "merkle/reconcile_message.h"
#include "merkle/reconcile_view.h"

namespace slipstream::merkle {

struct ReconcileLimits {
  // Subtrees of no more entries than this are sent as lists; 0 counts as 1.
  size_t list_entries_max = 4;
  // Bound of a message, in bytes of its fields; well below what the transport takes. A message
  // holds at least one item, whatever that takes: some 2.5 KiB at the default list_entries_max.
  size_t message_bytes_max = 256 << 10;
  // Differences a session hands out before it ends (the next one finds the rest), and subtrees that
  // it remembers to ask about; 0 counts as 1.
  size_t differences_max = 100'000;
  // Requests before a session fails: a hostile answer cannot keep it going.
  size_t requests_max = 10'000;
};

// Answers `request` from `view`. INVALID_ARGUMENT (reason MESSAGE_INVALID) if it breaks the
// protocol. Thread-safe if the view is.
absl::StatusOr<ReconcileResponse> Respond(ReconcileView& view, const ReconcileRequest& request,
                                          const ReconcileLimits& limits);

// One session of the side that starts. Not thread-safe; owned by whoever drives it.
class Reconciler {
 public:
  // `view` must outlive the session. `rng` is used here only, for the salt.
  Reconciler(ReconcileView* view, const ReconcileLimits& limits, base::Random* rng);

  // True when nothing is left to ask. The session is then over.
  bool done() const { return !awaiting_response_ && pending_.empty(); }

  // Returns the next request. Not done(), and the last request has been answered.
  ReconcileRequest NextRequest();

  // Takes the answer to the last request. INVALID_ARGUMENT (reason MESSAGE_INVALID) if it does not
  // fit it: the session is then over; what was found so far stays valid.
  absl::Status HandleResponse(const ReconcileResponse& response);

  // Takes out what was found since the last call: entries that the peer has and this side lacks or
  // has older...
  std::vector<EntrySummary> TakeNeeded();
  // ... and entries that this side has and the peer lacks or has older.
  std::vector<base::KeyId> TakeOffered();

  // Requests sent so far.
  size_t request_count() const { return request_count_; }

 private:
  // Ends the session with nothing left to ask.
  void End();
  // Remembers to ask about `prefix`, unless that would be too much for one session.
  void AskLater(const base::KeyPrefix& prefix);
  // Note a difference; true if the session has found as many as it may.
  void AddNeeded(const EntrySummary& entry);
  void AddOffered(const base::KeyId& key_id);
  size_t differences_left() const { return limits_.differences_max - found_count_; }
  // Puts what the peer did not handle back in front, and adapts to how much it did.
  void RequeueAfter(size_t handled_count);
  void HandleList(const EntryList& list);

  ReconcileView* const view_;
  const ReconcileLimits limits_;
  SessionSalt salt_;
  // Disjoint subtrees to ask about. How to is decided when the request is made.
  std::deque<base::KeyPrefix> pending_;
  // The last request, while its answer is awaited.
  ReconcileRequest asked_;
  bool awaiting_response_ = false;
  // How many items the next request may have.
  size_t request_items_max_ = kRequestItemsMax;
  size_t request_count_ = 0;
  // Differences found in the whole session.
  size_t found_count_ = 0;
  std::vector<EntrySummary> needed_;
  std::vector<base::KeyId> offered_;
};

}  // namespace slipstream::merkle

#endif  // SLIPSTREAM_MERKLE_RECONCILE_H_
