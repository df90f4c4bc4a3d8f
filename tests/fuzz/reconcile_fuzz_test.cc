// Reconciliation against a peer that sends whatever the input says: both sides return errors, with
// the right reason, and stay within their bounds. docs/merkle.md, section 4.3.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/check.h"
#include "base/coding.h"
#include "base/error_reason.h"
#include "base/key_id.h"
#include "base/random.h"
#include "base/version.h"
#include "merkle/reconcile.h"
#include "merkle/reconcile_message.h"
#include "merkle/testing/fake_replica.h"

namespace slipstream::merkle {
namespace {

constexpr ReconcileLimits kLimits{
    .list_entries_max = 2, .message_bytes_max = 2000, .differences_max = 50, .requests_max = 20};

// Two replicas of some hundred keys, the same in every run, never changed.
struct Replicas {
  testing::FakeReplica mine;
  testing::FakeReplica theirs;

  Replicas() {
    base::Random rng(1);
    for (testing::FakeReplica* replica : {&mine, &theirs}) {
      for (int i = 0; i < 200; ++i) {
        base::KeyId key_id = testing::RandomKeyId(rng);
        if (i % 2 == 0) std::fill_n(key_id.bytes.begin(), 9, uint8_t{0x5a});
        replica->Set(key_id, testing::RandomRecord(rng, 1000));
      }
    }
  }
};

// Reads messages from the input. After its end all numbers are zero.
class Input {
 public:
  explicit Input(absl::string_view bytes) : reader_(bytes) {}

  bool empty() const { return reader_.remaining() == 0; }
  uint8_t Byte() { return reader_.ReadLittle<uint8_t>(); }

  base::KeyId ReadKeyId(const base::KeyPrefix& near) {
    // Mostly under the prefix, or nothing would get past the first check.
    base::KeyId key_id = Byte() % 8 == 0 ? base::KeyId{} : base::RangeOf(near).first;
    key_id.bytes[19] ^= Byte();
    return key_id;
  }

  // Returns one of `known`, a child of it, or anything.
  base::KeyPrefix ReadPrefix(const std::vector<base::KeyPrefix>& known) {
    const uint8_t kind = Byte();
    base::KeyPrefix prefix;
    if (!known.empty()) prefix = known[Byte() % known.size()];
    if (kind % 4 == 1 && prefix.bit_count <= base::kKeyIdBits - kChildBits) {
      return base::ExtendPrefix(prefix, Byte() % kChildCount, kChildBits);
    }
    if (kind % 4 == 2) prefix.bit_count = static_cast<int8_t>(Byte());
    if (kind % 4 == 3) prefix.bits.bytes[Byte() % base::kKeyIdBytes] ^= Byte();
    return prefix;
  }

  ChildFingerprints ReadSubtree(const std::vector<base::KeyPrefix>& known) {
    ChildFingerprints subtree{
        .prefix = ReadPrefix(known), .present = reader_.ReadLittle<uint16_t>(), .fingerprints = {}};
    subtree.fingerprints.assign(static_cast<size_t>(__builtin_popcount(subtree.present)), Byte());
    if (Byte() % 16 == 1) subtree.fingerprints.push_back(1);
    return subtree;
  }

  std::vector<EntrySummary> ReadEntries(const base::KeyPrefix& prefix) {
    std::vector<EntrySummary> entries(Byte() % 5);
    for (EntrySummary& entry : entries) {
      entry.key_id = ReadKeyId(prefix);
      entry.version.hlc = reader_.ReadLittle<uint16_t>();
    }
    return entries;
  }

  EntryList ReadList(const std::vector<base::KeyPrefix>& known) {
    EntryList list{.prefix = ReadPrefix(known), .entries = {}};
    if (list.prefix.bit_count >= 0 && list.prefix.bit_count <= base::kKeyIdBits) {
      list.entries = ReadEntries(list.prefix);
    }
    return list;
  }

  ListVerdict ReadVerdict(const std::vector<EntryList>& asked) {
    ListVerdict verdict;
    if (asked.empty()) return verdict;
    const EntryList& list = asked[Byte() % asked.size()];
    verdict.prefix = list.prefix;
    verdict.newer = ReadEntries(list.prefix);
    for (uint8_t bits = Byte(); const EntrySummary& entry : list.entries) {
      if ((bits & 1) != 0) verdict.wanted.push_back(entry.key_id);
      bits >>= 1;
    }
    return verdict;
  }

 private:
  base::ByteReader reader_;
};

std::vector<base::KeyPrefix> PrefixesOf(const ReconcileRequest& request) {
  std::vector<base::KeyPrefix> prefixes;
  for (const ChildFingerprints& subtree : request.subtrees) prefixes.push_back(subtree.prefix);
  for (const EntryList& list : request.lists) prefixes.push_back(list.prefix);
  return prefixes;
}

void ExpectReason(const absl::Status& status) {
  if (status.ok()) return;
  SLIP_CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  SLIP_CHECK(base::ReasonOf(status) == base::kReasonMessageInvalid);
}

// Sends the answering side what the input says.
void FuzzRequest(Input& input, ReconcileView& view, const ReconcileRequest& honest) {
  const std::vector<base::KeyPrefix> known = PrefixesOf(honest);
  ReconcileRequest request = honest;
  for (uint8_t i = input.Byte() % 4; i > 0; --i)
    request.subtrees.push_back(input.ReadSubtree(known));
  for (uint8_t i = input.Byte() % 4; i > 0; --i) request.lists.push_back(input.ReadList(known));
  const absl::StatusOr<ReconcileResponse> response = Respond(view, request, kLimits);
  ExpectReason(response.status());
  if (!response.ok()) return;
  SLIP_CHECK(response->handled_count > 0);
  SLIP_CHECK(response->handled_count <= request.subtrees.size() + request.lists.size());
  SLIP_CHECK(CheckForm(*response).ok());
}

// Returns the honest answer, changed by what the input says.
ReconcileResponse ReadResponse(Input& input, ReconcileView& view, const ReconcileRequest& request) {
  ReconcileResponse response = Respond(view, request, kLimits).value();
  const uint8_t changes = input.Byte();
  if ((changes & 1) != 0) response.handled_count = input.Byte();
  if ((changes & 2) != 0) response.subtrees.clear();
  if ((changes & 4) != 0) response.lists.clear();
  if ((changes & 8) != 0) response.verdicts.clear();
  const std::vector<base::KeyPrefix> known = PrefixesOf(request);
  if ((changes & 16) != 0) response.subtrees.push_back(input.ReadSubtree(known));
  if ((changes & 32) != 0) response.lists.push_back(input.ReadList(known));
  if ((changes & 64) != 0) response.verdicts.push_back(input.ReadVerdict(request.lists));
  return response;
}

void FuzzSession(Input input) {
  static Replicas& replicas = *new Replicas;
  base::Random rng(input.Byte());
  Reconciler session(&replicas.mine, kLimits, &rng);
  size_t found_count = 0;
  while (!session.done()) {
    const ReconcileRequest request = session.NextRequest();
    if (!input.empty()) FuzzRequest(input, replicas.theirs, request);
    const absl::Status status =
        session.HandleResponse(ReadResponse(input, replicas.theirs, request));
    ExpectReason(status);
    SLIP_CHECK(status.ok() || session.done());
    found_count += session.TakeNeeded().size() + session.TakeOffered().size();
    SLIP_CHECK(found_count <= kLimits.differences_max);
    SLIP_CHECK(session.request_count() <= kLimits.requests_max);
  }
}

}  // namespace
}  // namespace slipstream::merkle

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using slipstream::merkle::FuzzSession;
  using slipstream::merkle::Input;
  FuzzSession(Input(absl::string_view(reinterpret_cast<const char*>(data), size)));
  return 0;
}
