#include "merkle/reconcile_message.h"

#include <algorithm>
#include <bit>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "base/error_reason.h"
#include "base/status_macros.h"

namespace slipstream::merkle {
namespace {

// Tags, lengths and small numbers of an item: at most this in Protobuf, for items below 2 MiB.
constexpr size_t kItemOverheadBytes = 17;
constexpr size_t kVersionBytes = 16;

size_t PrefixBytes(const base::KeyPrefix& prefix) {
  return static_cast<size_t>(prefix.bit_count + 7) / 8;
}

// What is left of a key_id without the whole bytes of the prefix, which are sent once.
size_t SuffixBytes(const base::KeyPrefix& prefix) {
  return base::kKeyIdBytes - static_cast<size_t>(prefix.bit_count) / 8;
}

absl::Status CheckPrefix(const base::KeyPrefix& prefix, int bit_count_max) {
  if (prefix.bit_count < 0 || prefix.bit_count > bit_count_max ||
      prefix.bit_count % kChildBits != 0) {
    return InvalidMessage(absl::StrCat("a prefix of ", prefix.bit_count,
                                       " bits: not a multiple of ", kChildBits, " up to ",
                                       bit_count_max));
  }
  if (base::MakePrefix(prefix.bits, prefix.bit_count) != prefix) {
    return InvalidMessage(absl::StrCat("bits are set after the prefix ", ToString(prefix)));
  }
  return absl::OkStatus();
}

const base::KeyId& KeyIdIn(const base::KeyId& key_id) { return key_id; }
const base::KeyId& KeyIdIn(const EntrySummary& entry) { return entry.key_id; }

template <typename T>
absl::Status CheckOrder(const std::vector<T>& entries, const base::KeyPrefix& prefix) {
  for (size_t i = 0; i < entries.size(); ++i) {
    if (!base::HasPrefix(KeyIdIn(entries[i]), prefix)) {
      return InvalidMessage(
          absl::StrCat("entry ", i, " is not under the prefix ", ToString(prefix)));
    }
    if (i != 0 && !(KeyIdIn(entries[i - 1]) < KeyIdIn(entries[i]))) {
      return InvalidMessage(
          absl::StrCat("entry ", i, " under the prefix ", ToString(prefix), " is out of order"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

size_t BytesOf(const ChildFingerprints& subtree) {
  return kItemOverheadBytes + PrefixBytes(subtree.prefix) +
         subtree.fingerprints.size() * sizeof(uint64_t);
}

size_t BytesOf(const EntryList& list) {
  return kItemOverheadBytes + PrefixBytes(list.prefix) +
         list.entries.size() * (SuffixBytes(list.prefix) + kVersionBytes);
}

size_t BytesOf(const ListVerdict& verdict) {
  const size_t suffix_bytes = SuffixBytes(verdict.prefix);
  return kItemOverheadBytes + PrefixBytes(verdict.prefix) + verdict.wanted.size() * suffix_bytes +
         verdict.newer.size() * (suffix_bytes + kVersionBytes);
}

absl::Status InvalidMessage(absl::string_view what) {
  return base::WithReason(absl::InvalidArgumentError(absl::StrCat("reconciliation: ", what)),
                          base::kReasonMessageInvalid);
}

absl::Status CheckForm(const ChildFingerprints& subtree) {
  SLIP_RETURN_IF_ERROR(CheckPrefix(subtree.prefix, base::kKeyIdBits - kChildBits));
  const auto present_count = static_cast<size_t>(std::popcount(subtree.present));
  if (subtree.fingerprints.size() != present_count) {
    return InvalidMessage(absl::StrCat(subtree.fingerprints.size(), " fingerprints of ",
                                       present_count, " children of the prefix ",
                                       ToString(subtree.prefix)));
  }
  return absl::OkStatus();
}

absl::Status CheckForm(const EntryList& list) {
  SLIP_RETURN_IF_ERROR(CheckPrefix(list.prefix, base::kKeyIdBits));
  return CheckOrder(list.entries, list.prefix);
}

absl::Status CheckForm(const ListVerdict& verdict) {
  SLIP_RETURN_IF_ERROR(CheckPrefix(verdict.prefix, base::kKeyIdBits));
  SLIP_RETURN_IF_ERROR(CheckOrder(verdict.wanted, verdict.prefix));
  return CheckOrder(verdict.newer, verdict.prefix);
}

absl::Status CheckDisjoint(std::vector<base::KeyPrefix> prefixes) {
  std::sort(prefixes.begin(), prefixes.end(),
            [](const base::KeyPrefix& a, const base::KeyPrefix& b) {
              return std::tie(a.bits, a.bit_count) < std::tie(b.bits, b.bit_count);
            });
  for (size_t i = 1; i < prefixes.size(); ++i) {
    if (base::HasPrefix(prefixes[i].bits, prefixes[i - 1])) {
      return InvalidMessage(absl::StrCat("the prefixes ", ToString(prefixes[i - 1]), " and ",
                                         ToString(prefixes[i]), " overlap"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckForm(const ReconcileRequest& request) {
  std::vector<base::KeyPrefix> prefixes;
  for (const ChildFingerprints& subtree : request.subtrees) {
    SLIP_RETURN_IF_ERROR(CheckForm(subtree));
    prefixes.push_back(subtree.prefix);
  }
  for (const EntryList& list : request.lists) {
    SLIP_RETURN_IF_ERROR(CheckForm(list));
    prefixes.push_back(list.prefix);
  }
  return CheckDisjoint(std::move(prefixes));
}

absl::Status CheckForm(const ReconcileResponse& response) {
  std::vector<base::KeyPrefix> prefixes;
  for (const ChildFingerprints& subtree : response.subtrees) {
    SLIP_RETURN_IF_ERROR(CheckForm(subtree));
    prefixes.push_back(subtree.prefix);
  }
  for (const EntryList& list : response.lists) {
    SLIP_RETURN_IF_ERROR(CheckForm(list));
    prefixes.push_back(list.prefix);
  }
  for (const ListVerdict& verdict : response.verdicts) {
    SLIP_RETURN_IF_ERROR(CheckForm(verdict));
    prefixes.push_back(verdict.prefix);
  }
  return CheckDisjoint(std::move(prefixes));
}

}  // namespace slipstream::merkle
