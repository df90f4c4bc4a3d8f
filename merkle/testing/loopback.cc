#include "merkle/testing/loopback.h"

#include <algorithm>
#include <utility>

#include "absl/status/statusor.h"

namespace slipstream::merkle::testing {
namespace {

constexpr size_t kVersionBytes = 16;

size_t VarintBytes(size_t value) {
  size_t bytes = 1;
  for (; value >= 128; value >>= 7) ++bytes;
  return bytes;
}

// A field with a tag of one byte; absent if it has its default.
size_t NumberBytes(size_t value) { return value == 0 ? 0 : 1 + VarintBytes(value); }
size_t FieldBytes(size_t length) { return length == 0 ? 0 : 1 + VarintBytes(length) + length; }
// An element of a repeated message field, which is never absent.
size_t ElementBytes(size_t length) { return 1 + VarintBytes(length) + length; }

size_t PrefixBytes(const base::KeyPrefix& prefix) {
  return FieldBytes(static_cast<size_t>(prefix.bit_count + 7) / 8) +
         NumberBytes(static_cast<size_t>(prefix.bit_count));
}

size_t SuffixBytes(const base::KeyPrefix& prefix) {
  return base::kKeyIdBytes - static_cast<size_t>(prefix.bit_count) / 8;
}

size_t ItemBytes(const ChildFingerprints& subtree) {
  return ElementBytes(PrefixBytes(subtree.prefix) + NumberBytes(subtree.present) +
                      FieldBytes(8 * subtree.fingerprints.size()));
}

size_t ItemBytes(const EntryList& list) {
  const size_t entry_bytes = SuffixBytes(list.prefix) + kVersionBytes;
  return ElementBytes(PrefixBytes(list.prefix) + FieldBytes(entry_bytes * list.entries.size()));
}

size_t ItemBytes(const ListVerdict& verdict) {
  const size_t suffix_bytes = SuffixBytes(verdict.prefix);
  return ElementBytes(PrefixBytes(verdict.prefix) +
                      FieldBytes(suffix_bytes * verdict.wanted.size()) +
                      FieldBytes((suffix_bytes + kVersionBytes) * verdict.newer.size()));
}

template <typename T>
size_t SumBytes(const std::vector<T>& items) {
  size_t bytes = 0;
  for (const T& item : items) bytes += ItemBytes(item);
  return bytes;
}

template <typename T>
void MoveTo(std::vector<T> from, std::vector<T>& to) {
  to.insert(to.end(), from.begin(), from.end());
}

}  // namespace

size_t WireBytes(const ReconcileRequest& request) {
  return FieldBytes(request.salt.size()) + SumBytes(request.subtrees) + SumBytes(request.lists);
}

size_t WireBytes(const ReconcileResponse& response) {
  return NumberBytes(response.handled_count) + SumBytes(response.subtrees) +
         SumBytes(response.lists) + SumBytes(response.verdicts);
}

SessionResult RunSession(ReconcileView& initiator, ReconcileView& responder,
                         const SessionOptions& options, base::Random& rng) {
  SessionResult result;
  Reconciler session(&initiator, options.initiator_limits, &rng);
  while (result.status.ok() && !session.done()) {
    const ReconcileRequest request = session.NextRequest();
    options.between_messages();
    absl::StatusOr<ReconcileResponse> response =
        Respond(responder, request, options.responder_limits);
    if (!response.ok()) {
      result.status = response.status();
      break;
    }
    options.between_messages();
    result.status = session.HandleResponse(*response);
    ++result.round_trips;
    result.request_bytes += WireBytes(request);
    result.response_bytes += WireBytes(*response);
    result.largest_message_bytes =
        std::max({result.largest_message_bytes, WireBytes(request), WireBytes(*response)});
    MoveTo(session.TakeNeeded(), result.needed);
    MoveTo(session.TakeOffered(), result.offered);
  }
  return result;
}

}  // namespace slipstream::merkle::testing
