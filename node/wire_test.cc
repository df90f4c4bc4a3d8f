#include "node/wire.h"

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "base/error_reason.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace slipstream::node {
namespace {

using base::testing::StatusIs;
using ::testing::HasSubstr;

constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;
constexpr size_t kExchangeRoots = 0;
constexpr size_t kReconcile = 1;
constexpr size_t kFetchRecords = 2;
constexpr size_t kPushRecords = 3;

NodeSummary SomeSummary() {
  NodeSummary summary{
      .node_id = 1, .actor = base::ActorId{2}, .name = "n", .key_count = 3, .hlc = 4};
  summary.root.bytes.fill(5);
  return summary;
}

storage::Record SomeRecord(std::string key) {
  return {.key = std::move(key), .value = "v", .version = {.hlc = 1}, .sequence = 1};
}

base::KeyPrefix SomePrefix(int bit_count) {
  base::KeyId key_id;
  key_id.bytes.fill(0xa5);
  return base::MakePrefix(key_id, bit_count);
}

merkle::ChildFingerprints SomeChildren() {
  return {.prefix = SomePrefix(12), .present = 0x8001, .fingerprints = {1, ~uint64_t{0}}};
}

merkle::EntryList SomeList() {
  base::KeyId first = SomePrefix(160).bits;
  base::KeyId second = first;
  second.bytes.back() = 0xff;
  return {.prefix = SomePrefix(16),
          .entries = {{first, {.hlc = 6}}, {second, {.hlc = 7, .actor = base::ActorId{8}}}}};
}

merkle::ReconcileRequest SomeReconcileRequest() {
  merkle::ReconcileRequest request;
  request.salt.fill(9);
  request.subtrees = {SomeChildren()};
  request.lists = {SomeList()};
  return request;
}

// The bytes of one encoding say all that a message holds: equal bytes, equal messages.
void ExpectRoundTrip(const PeerRequest& request) {
  const std::string bytes = EncodeRequest(request);
  ASSERT_OK_AND_ASSIGN(const PeerRequest parsed, DecodeRequest(request.index(), bytes));
  EXPECT_EQ(parsed.index(), request.index());
  EXPECT_EQ(EncodeRequest(parsed), bytes);
}

void ExpectRoundTrip(const PeerResponse& response) {
  const std::string bytes = EncodeResponse(response);
  ASSERT_OK_AND_ASSIGN(const PeerResponse parsed, DecodeResponse(response.index(), bytes));
  EXPECT_EQ(parsed.index(), response.index());
  EXPECT_EQ(EncodeResponse(parsed), bytes);
}

TEST(WireTest, RequestsComeBackAsTheyWere) {
  ExpectRoundTrip(PeerRequest(ExchangeRootsRequest{SomeSummary()}));
  ExpectRoundTrip(PeerRequest(SomeReconcileRequest()));
  ExpectRoundTrip(PeerRequest(FetchRecordsRequest{{SomePrefix(160).bits, base::KeyId{}}}));
  ExpectRoundTrip(PeerRequest(PushRecordsRequest{
      {{SomeRecord("a"), SomeRecord("b")}, {SomeRecord(std::string(4096, 'c'))}}}));
}

TEST(WireTest, ResponsesComeBackAsTheyWere) {
  ExpectRoundTrip(PeerResponse(ExchangeRootsResponse{SomeSummary()}));
  merkle::ReconcileResponse reconcile{
      .handled_count = 2, .subtrees = {SomeChildren()}, .lists = {SomeList()}};
  reconcile.verdicts = {{.prefix = SomeList().prefix,
                         .wanted = {SomeList().entries[0].key_id},
                         .newer = SomeList().entries}};
  ExpectRoundTrip(PeerResponse(reconcile));
  ExpectRoundTrip(
      PeerResponse(FetchRecordsResponse{.records = {SomeRecord("a")}, .handled_count = 2}));
  ExpectRoundTrip(PeerResponse(PushRecordsResponse{.applied_count = 1, .held_back_count = 2}));
}

TEST(WireTest, FieldsKeepTheirValues) {
  ASSERT_OK_AND_ASSIGN(const ExchangeRootsRequest exchange,
                       FromProto(ToProto(ExchangeRootsRequest{SomeSummary()})));
  EXPECT_EQ(exchange.sender.node_id, 1u);
  EXPECT_EQ(exchange.sender.actor, base::ActorId{2});
  EXPECT_EQ(exchange.sender.name, "n");
  EXPECT_EQ(exchange.sender.key_count, 3u);
  EXPECT_EQ(exchange.sender.hlc, 4u);
  EXPECT_EQ(exchange.sender.root, SomeSummary().root);
  ASSERT_OK_AND_ASSIGN(const merkle::ReconcileRequest reconcile,
                       FromProto(ToProto(SomeReconcileRequest())));
  EXPECT_EQ(reconcile.salt, SomeReconcileRequest().salt);
  EXPECT_EQ(reconcile.subtrees[0].prefix, SomeChildren().prefix);
  EXPECT_EQ(reconcile.subtrees[0].present, SomeChildren().present);
  EXPECT_EQ(reconcile.subtrees[0].fingerprints, SomeChildren().fingerprints);
  EXPECT_EQ(reconcile.lists[0].prefix, SomeList().prefix);
  EXPECT_EQ(reconcile.lists[0].entries, SomeList().entries);
}

TEST(WireTest, RefusesBytesThatAreNoMessage) {
  const absl::StatusOr<PeerRequest> request = DecodeRequest(kReconcile, "\x0a\xff");
  EXPECT_THAT(request, StatusIs(kInvalid, HasSubstr("ReconcileRequest: 2 bytes")));
  EXPECT_EQ(base::ReasonOf(request.status()), base::kReasonMessageInvalid);
  EXPECT_THAT(DecodeResponse(kPushRecords, "\x08"), StatusIs(kInvalid));
}

TEST(WireTest, RefusesMessageBeyondItsBound) {
  // A field of a later version fills the message; its tag and length take 6 bytes.
  v1::FetchRecordsRequest message;
  message.GetReflection()->MutableUnknownFields(&message)->AddLengthDelimited(
      31, std::string(kPeerMessageBytesMax - 6, 'x'));
  const std::string bytes = message.SerializeAsString();
  ASSERT_EQ(bytes.size(), kPeerMessageBytesMax);
  EXPECT_OK(DecodeRequest(kFetchRecords, bytes));
  EXPECT_THAT(DecodeRequest(kFetchRecords, bytes + '\0'),
              StatusIs(kInvalid, HasSubstr("message: 8396801 bytes, of at most 8396800")));
  EXPECT_THAT(DecodeResponse(kFetchRecords, bytes + '\0'),
              StatusIs(kInvalid, HasSubstr("message: 8396801 bytes, of at most 8396800")));
}

TEST(WireTest, TakesOneRecordAtItsCeiling) {
  storage::Record record = SomeRecord(std::string(kWireKeyBytesMax, 'k'));
  record.value.assign(kWireValueBytesMax, 'v');
  record.sequence = ~uint64_t{0};
  record.expires_at_ms = ~uint64_t{0};
  const std::string bytes = EncodeRequest(PushRecordsRequest{{{record}}});
  EXPECT_LE(bytes.size(), kPeerMessageBytesMax);
  EXPECT_OK(DecodeRequest(kPushRecords, bytes));
}

TEST(WireTest, RefusesSummaryThatIsMissingOrWrong) {
  EXPECT_THAT(DecodeRequest(kExchangeRoots, ""),
              StatusIs(kInvalid, HasSubstr("sender: is missing")));
  EXPECT_THAT(DecodeResponse(kExchangeRoots, ""),
              StatusIs(kInvalid, HasSubstr("responder: is missing")));
  v1::ExchangeRootsRequest message = ToProto(ExchangeRootsRequest{SomeSummary()});
  message.mutable_sender()->set_name(std::string(kNodeNameBytesMax, 'n'));
  EXPECT_OK(FromProto(message));
  message.mutable_sender()->set_name(std::string(kNodeNameBytesMax + 1, 'n'));
  EXPECT_THAT(FromProto(message), StatusIs(kInvalid, HasSubstr("sender.name: 256 bytes")));
  message = ToProto(ExchangeRootsRequest{SomeSummary()});
  message.mutable_sender()->clear_root();
  EXPECT_THAT(FromProto(message), StatusIs(kInvalid, HasSubstr("sender.root: 0 bytes")));
}

TEST(WireTest, NamesTheRecordThatItRefuses) {
  v1::PushRecordsRequest message =
      ToProto(PushRecordsRequest{{{SomeRecord("a")}, {SomeRecord("b"), SomeRecord("c")}}});
  message.mutable_groups(1)->mutable_records(1)->clear_key();
  EXPECT_THAT(DecodeRequest(kPushRecords, message.SerializeAsString()),
              StatusIs(kInvalid,
                       "PushRecordsRequest.groups[1].records[1].key: "
                       "0 bytes, of 1 to 4096"));
}

TEST(WireTest, RefusesEmptyGroup) {
  v1::PushRecordsRequest message;
  message.add_groups();
  EXPECT_THAT(FromProto(message), StatusIs(kInvalid, HasSubstr("groups[0].records")));
}

TEST(WireTest, BoundsTheElementsOfEachList) {
  v1::PushRecordsRequest push;
  for (size_t i = 0; i < kPeerElementsMax + 1; ++i) push.add_groups();
  EXPECT_THAT(FromProto(push), StatusIs(kInvalid, HasSubstr("groups: 65537 elements")));
  v1::ReconcileRequest reconcile = ToProto(SomeReconcileRequest());
  while (reconcile.lists_size() <= static_cast<int>(kPeerElementsMax)) reconcile.add_lists();
  EXPECT_THAT(FromProto(reconcile), StatusIs(kInvalid, HasSubstr("lists: 65537 elements")));
  reconcile.mutable_lists()->RemoveLast();
  EXPECT_OK(FromProto(reconcile));
  v1::FetchRecordsRequest fetch;
  fetch.set_key_ids(std::string(kPeerElementsMax * 20, 'k'));
  EXPECT_OK(FromProto(fetch));
  fetch.mutable_key_ids()->append(20, 'k');
  EXPECT_THAT(FromProto(fetch), StatusIs(kInvalid, HasSubstr("key_ids: 65537 elements")));
}

TEST(WireTest, RefusesSaltOfAnotherLength) {
  v1::ReconcileRequest message = ToProto(SomeReconcileRequest());
  message.mutable_salt()->push_back('x');
  EXPECT_THAT(FromProto(message), StatusIs(kInvalid, HasSubstr("salt: 17 bytes, must be 16")));
}

TEST(WireTest, RefusesFingerprintsThatDoNotFitTheirChildren) {
  v1::ReconcileRequest message = ToProto(SomeReconcileRequest());
  message.mutable_subtrees(0)->set_present(0x8003);
  EXPECT_THAT(FromProto(message),
              StatusIs(kInvalid, HasSubstr("subtrees[0].fingerprints: 16 bytes, must be 24")));
  message.mutable_subtrees(0)->set_present(0x10001);
  EXPECT_THAT(FromProto(message), StatusIs(kInvalid, HasSubstr("present: 65537")));
}

TEST(WireTest, RefusesSubtreeThatHasNoChildren) {
  v1::ReconcileRequest message = ToProto(SomeReconcileRequest());
  v1::ChildFingerprints& subtree = *message.mutable_subtrees(0);
  for (const int bit_count : {0, 4, 156}) {
    subtree.set_bit_count(bit_count);
    subtree.set_prefix(PackPrefix(SomePrefix(bit_count)));
    EXPECT_OK(FromProto(message));
  }
  for (const int bit_count : {2, 158, 160}) {
    subtree.set_bit_count(bit_count);
    subtree.set_prefix(PackPrefix(SomePrefix(bit_count)));
    EXPECT_THAT(FromProto(message), StatusIs(kInvalid, HasSubstr("subtrees[0].bit_count")));
  }
}

TEST(WireTest, RefusesListOutOfOrder) {
  merkle::ReconcileRequest request = SomeReconcileRequest();
  std::swap(request.lists[0].entries[0], request.lists[0].entries[1]);
  EXPECT_THAT(FromProto(ToProto(request)),
              StatusIs(kInvalid, HasSubstr("lists[0].entries: entry 0")));
  request.lists[0].entries[0] = request.lists[0].entries[1];
  EXPECT_THAT(FromProto(ToProto(request)), StatusIs(kInvalid, HasSubstr("entries: entry 0")));
}

TEST(WireTest, RefusesVerdictOutsideOfItsPrefix) {
  v1::ReconcileResponse message;
  v1::ListVerdict& verdict = *message.add_verdicts();
  verdict.set_prefix("\xa0");
  verdict.set_bit_count(4);
  verdict.set_wanted(std::string(20, '\xb0'));
  EXPECT_THAT(FromProto(message), StatusIs(kInvalid, HasSubstr("verdicts[0].wanted")));
}

}  // namespace
}  // namespace slipstream::node
