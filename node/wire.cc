#include "node/wire.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/coding.h"
#include "base/key_id.h"
#include "base/status_macros.h"

namespace slipstream::node {
namespace {

// Children are told apart by so many bits.
constexpr int kChildBits = 4;
constexpr size_t kFingerprintBytes = 8;

absl::Status CheckCount(absl::string_view field, size_t count) {
  if (count <= kPeerElementsMax) return absl::OkStatus();
  return InvalidField(field, absl::StrCat(count, " elements, of at most ", kPeerElementsMax));
}

v1::NodeSummary SummaryToProto(NodeSummary summary) {
  v1::NodeSummary message;
  message.set_node_id(summary.node_id);
  message.set_actor(static_cast<uint64_t>(summary.actor));
  message.set_name(std::move(summary.name));
  message.set_root(std::string(summary.root.view()));
  message.set_key_count(summary.key_count);
  message.set_hlc(summary.hlc);
  return message;
}

absl::StatusOr<NodeSummary> SummaryFromProto(v1::NodeSummary message) {
  NodeSummary summary;
  if (message.name().size() > kNodeNameBytesMax) {
    return InvalidField(
        "name", absl::StrCat(message.name().size(), " bytes, of at most ", kNodeNameBytesMax));
  }
  SLIP_ASSIGN_OR_RETURN(summary.root, DigestFromBytes("root", message.root()));
  summary.node_id = message.node_id();
  summary.actor = base::ActorId{message.actor()};
  summary.name = std::move(*message.mutable_name());
  summary.key_count = message.key_count();
  summary.hlc = message.hlc();
  return summary;
}

void ChildrenToProto(const merkle::ChildFingerprints& children, v1::ChildFingerprints& message) {
  message.set_prefix(PackPrefix(children.prefix));
  message.set_bit_count(children.prefix.bit_count);
  message.set_present(children.present);
  std::string bytes(children.fingerprints.size() * kFingerprintBytes, '\0');
  for (size_t index = 0; index < children.fingerprints.size(); ++index) {
    base::StoreLittle<uint64_t>(children.fingerprints[index],
                                bytes.data() + index * kFingerprintBytes);
  }
  message.set_fingerprints(std::move(bytes));
}

absl::StatusOr<merkle::ChildFingerprints> ChildrenFromProto(const v1::ChildFingerprints& message) {
  merkle::ChildFingerprints children;
  SLIP_ASSIGN_OR_RETURN(children.prefix, UnpackPrefix(message.prefix(), message.bit_count()));
  if (children.prefix.bit_count % kChildBits != 0 ||
      children.prefix.bit_count > base::kKeyIdBits - kChildBits) {
    return InvalidField("bit_count",
                        absl::StrCat(message.bit_count(), ", must be a multiple of ", kChildBits,
                                     " of at most ", base::kKeyIdBits - kChildBits));
  }
  if (message.present() > UINT16_MAX) {
    return InvalidField("present", absl::StrCat(message.present(), ", of at most ", UINT16_MAX));
  }
  children.present = static_cast<uint16_t>(message.present());
  const size_t count = std::popcount(children.present);
  if (message.fingerprints().size() != count * kFingerprintBytes) {
    return InvalidField("fingerprints",
                        absl::StrCat(message.fingerprints().size(), " bytes, must be ",
                                     count * kFingerprintBytes, " for ", count, " children"));
  }
  base::ByteReader reader(message.fingerprints());
  children.fingerprints.reserve(count);
  for (size_t index = 0; index < count; ++index) {
    children.fingerprints.push_back(reader.ReadLittle<uint64_t>());
  }
  return children;
}

void ListToProto(const merkle::EntryList& list, v1::EntryList& message) {
  message.set_prefix(PackPrefix(list.prefix));
  message.set_bit_count(list.prefix.bit_count);
  message.set_entries(PackEntries(list.prefix, list.entries));
}

absl::StatusOr<merkle::EntryList> ListFromProto(const v1::EntryList& message) {
  merkle::EntryList list;
  SLIP_ASSIGN_OR_RETURN(list.prefix, UnpackPrefix(message.prefix(), message.bit_count()));
  SLIP_ASSIGN_OR_RETURN(list.entries, UnpackEntries("entries", list.prefix, message.entries()));
  const auto not_ascending = std::adjacent_find(
      list.entries.begin(), list.entries.end(),
      [](const auto& left, const auto& right) { return left.key_id >= right.key_id; });
  if (not_ascending != list.entries.end()) {
    return InvalidField("entries", absl::StrCat("entry ", not_ascending - list.entries.begin(),
                                                " is not before the next in key_id order"));
  }
  return list;
}

void VerdictToProto(const merkle::ListVerdict& verdict, v1::ListVerdict& message) {
  message.set_prefix(PackPrefix(verdict.prefix));
  message.set_bit_count(verdict.prefix.bit_count);
  message.set_wanted(PackKeyIds(verdict.prefix, verdict.wanted));
  message.set_newer(PackEntries(verdict.prefix, verdict.newer));
}

absl::StatusOr<merkle::ListVerdict> VerdictFromProto(const v1::ListVerdict& message) {
  merkle::ListVerdict verdict;
  SLIP_ASSIGN_OR_RETURN(verdict.prefix, UnpackPrefix(message.prefix(), message.bit_count()));
  SLIP_ASSIGN_OR_RETURN(verdict.wanted, UnpackKeyIds("wanted", verdict.prefix, message.wanted()));
  SLIP_ASSIGN_OR_RETURN(verdict.newer, UnpackEntries("newer", verdict.prefix, message.newer()));
  return verdict;
}

// Converts each element of a repeated field, naming the one that is refused. Elements are moved
// from where `messages` is not const.
template <typename Messages, typename Convert, typename Value>
absl::Status ConvertElements(absl::string_view field, Messages& messages, Convert convert,
                             std::vector<Value>& values) {
  SLIP_RETURN_IF_ERROR(CheckCount(field, messages.size()));
  values.reserve(messages.size());
  for (auto& message : messages) {
    absl::StatusOr<Value> value = convert(message);
    if (!value.ok()) return InElement(field, values.size(), value.status());
    values.push_back(*std::move(value));
  }
  return absl::OkStatus();
}

absl::StatusOr<storage::Record> TakeRecord(v1::Record& message) {
  return FromProto(std::move(message));
}

// Parses a `Message` and hands it to FromProto, which finds its own struct.
template <typename Message, typename Variant>
absl::StatusOr<Variant> Decode(absl::string_view bytes) {
  Message message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return InvalidField(Message::descriptor()->name(),
                        absl::StrCat(bytes.size(), " bytes that are no such message"));
  }
  auto value = FromProto(std::move(message));
  if (!value.ok()) return InField(Message::descriptor()->name(), value.status());
  return Variant(*std::move(value));
}

absl::Status CheckSize(absl::string_view bytes) {
  if (bytes.size() <= kPeerMessageBytesMax) return absl::OkStatus();
  return InvalidField("message",
                      absl::StrCat(bytes.size(), " bytes, of at most ", kPeerMessageBytesMax));
}

}  // namespace

v1::ExchangeRootsRequest ToProto(ExchangeRootsRequest request) {
  v1::ExchangeRootsRequest message;
  *message.mutable_sender() = SummaryToProto(std::move(request.sender));
  return message;
}

v1::ExchangeRootsResponse ToProto(ExchangeRootsResponse response) {
  v1::ExchangeRootsResponse message;
  *message.mutable_responder() = SummaryToProto(std::move(response.responder));
  return message;
}

absl::StatusOr<ExchangeRootsRequest> FromProto(v1::ExchangeRootsRequest message) {
  if (!message.has_sender()) return InvalidField("sender", "is missing");
  absl::StatusOr<NodeSummary> sender = SummaryFromProto(std::move(*message.mutable_sender()));
  if (!sender.ok()) return InField("sender", sender.status());
  return ExchangeRootsRequest{.sender = *std::move(sender)};
}

absl::StatusOr<ExchangeRootsResponse> FromProto(v1::ExchangeRootsResponse message) {
  if (!message.has_responder()) return InvalidField("responder", "is missing");
  absl::StatusOr<NodeSummary> responder = SummaryFromProto(std::move(*message.mutable_responder()));
  if (!responder.ok()) return InField("responder", responder.status());
  return ExchangeRootsResponse{.responder = *std::move(responder)};
}

v1::ReconcileRequest ToProto(const merkle::ReconcileRequest& request) {
  v1::ReconcileRequest message;
  message.set_salt(request.salt.data(), request.salt.size());
  for (const auto& subtree : request.subtrees) ChildrenToProto(subtree, *message.add_subtrees());
  for (const auto& list : request.lists) ListToProto(list, *message.add_lists());
  return message;
}

absl::StatusOr<merkle::ReconcileRequest> FromProto(const v1::ReconcileRequest& message) {
  merkle::ReconcileRequest request;
  if (message.salt().size() != request.salt.size()) {
    return InvalidField(
        "salt", absl::StrCat(message.salt().size(), " bytes, must be ", request.salt.size()));
  }
  std::copy(message.salt().begin(), message.salt().end(), request.salt.begin());
  SLIP_RETURN_IF_ERROR(
      ConvertElements("subtrees", message.subtrees(), ChildrenFromProto, request.subtrees));
  SLIP_RETURN_IF_ERROR(ConvertElements("lists", message.lists(), ListFromProto, request.lists));
  return request;
}

v1::ReconcileResponse ToProto(const merkle::ReconcileResponse& response) {
  v1::ReconcileResponse message;
  message.set_handled_count(response.handled_count);
  for (const auto& subtree : response.subtrees) ChildrenToProto(subtree, *message.add_subtrees());
  for (const auto& list : response.lists) ListToProto(list, *message.add_lists());
  for (const auto& verdict : response.verdicts) VerdictToProto(verdict, *message.add_verdicts());
  return message;
}

absl::StatusOr<merkle::ReconcileResponse> FromProto(const v1::ReconcileResponse& message) {
  merkle::ReconcileResponse response;
  response.handled_count = message.handled_count();
  SLIP_RETURN_IF_ERROR(
      ConvertElements("subtrees", message.subtrees(), ChildrenFromProto, response.subtrees));
  SLIP_RETURN_IF_ERROR(ConvertElements("lists", message.lists(), ListFromProto, response.lists));
  SLIP_RETURN_IF_ERROR(
      ConvertElements("verdicts", message.verdicts(), VerdictFromProto, response.verdicts));
  return response;
}

v1::FetchRecordsRequest ToProto(const FetchRecordsRequest& request) {
  v1::FetchRecordsRequest message;
  message.set_key_ids(PackKeyIds(base::KeyPrefix{}, request.key_ids));
  return message;
}

absl::StatusOr<FetchRecordsRequest> FromProto(const v1::FetchRecordsRequest& message) {
  FetchRecordsRequest request;
  SLIP_RETURN_IF_ERROR(CheckCount("key_ids", message.key_ids().size() / base::kKeyIdBytes));
  SLIP_ASSIGN_OR_RETURN(request.key_ids,
                        UnpackKeyIds("key_ids", base::KeyPrefix{}, message.key_ids()));
  return request;
}

v1::FetchRecordsResponse ToProto(FetchRecordsResponse response) {
  v1::FetchRecordsResponse message;
  for (storage::Record& record : response.records) {
    *message.add_records() = ToProto(std::move(record));
  }
  message.set_handled_count(response.handled_count);
  return message;
}

absl::StatusOr<FetchRecordsResponse> FromProto(v1::FetchRecordsResponse message) {
  FetchRecordsResponse response;
  response.handled_count = message.handled_count();
  SLIP_RETURN_IF_ERROR(
      ConvertElements("records", *message.mutable_records(), TakeRecord, response.records));
  return response;
}

v1::PushRecordsRequest ToProto(PushRecordsRequest request) {
  v1::PushRecordsRequest message;
  for (std::vector<storage::Record>& group : request.groups) {
    v1::RecordGroup& records = *message.add_groups();
    for (storage::Record& record : group) *records.add_records() = ToProto(std::move(record));
  }
  return message;
}

absl::StatusOr<PushRecordsRequest> FromProto(v1::PushRecordsRequest message) {
  PushRecordsRequest request;
  const auto take_group =
      [](v1::RecordGroup& group) -> absl::StatusOr<std::vector<storage::Record>> {
    std::vector<storage::Record> records;
    if (group.records().empty()) return InvalidField("records", "must not be empty");
    SLIP_RETURN_IF_ERROR(ConvertElements("records", *group.mutable_records(), TakeRecord, records));
    return records;
  };
  SLIP_RETURN_IF_ERROR(
      ConvertElements("groups", *message.mutable_groups(), take_group, request.groups));
  return request;
}

v1::PushRecordsResponse ToProto(const PushRecordsResponse& response) {
  v1::PushRecordsResponse message;
  message.set_applied_count(response.applied_count);
  message.set_held_back_count(response.held_back_count);
  return message;
}

absl::StatusOr<PushRecordsResponse> FromProto(const v1::PushRecordsResponse& message) {
  return PushRecordsResponse{.applied_count = message.applied_count(),
                             .held_back_count = message.held_back_count()};
}

std::string EncodeRequest(const PeerRequest& request) {
  return std::visit([](const auto& value) { return ToProto(value).SerializeAsString(); }, request);
}

std::string EncodeResponse(const PeerResponse& response) {
  return std::visit([](const auto& value) { return ToProto(value).SerializeAsString(); }, response);
}

absl::StatusOr<PeerRequest> DecodeRequest(size_t index, absl::string_view bytes) {
  SLIP_CHECK(index < kPeerMessageKinds);
  SLIP_RETURN_IF_ERROR(CheckSize(bytes));
  constexpr absl::StatusOr<PeerRequest> (*kDecoders[])(absl::string_view) = {
      Decode<v1::ExchangeRootsRequest, PeerRequest>, Decode<v1::ReconcileRequest, PeerRequest>,
      Decode<v1::FetchRecordsRequest, PeerRequest>, Decode<v1::PushRecordsRequest, PeerRequest>};
  static_assert(std::size(kDecoders) == kPeerMessageKinds);
  return kDecoders[index](bytes);
}

absl::StatusOr<PeerResponse> DecodeResponse(size_t index, absl::string_view bytes) {
  SLIP_CHECK(index < kPeerMessageKinds);
  SLIP_RETURN_IF_ERROR(CheckSize(bytes));
  constexpr absl::StatusOr<PeerResponse> (*kDecoders[])(absl::string_view) = {
      Decode<v1::ExchangeRootsResponse, PeerResponse>, Decode<v1::ReconcileResponse, PeerResponse>,
      Decode<v1::FetchRecordsResponse, PeerResponse>,
      Decode<v1::PushRecordsResponse, PeerResponse>};
  static_assert(std::size(kDecoders) == kPeerMessageKinds);
  return kDecoders[index](bytes);
}

}  // namespace slipstream::node
