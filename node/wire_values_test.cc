#include "node/wire_values.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "base/error_reason.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace slipstream::node {
namespace {

using base::testing::IsOkAndHolds;
using base::testing::StatusIs;
using ::testing::HasSubstr;

constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;

storage::Record SomeRecord() {
  return {.key = std::string("k\0y", 3),
          .value = std::string("\xff\x00value", 7),
          .version = {.hlc = 0x0123456789abcdef, .actor = base::ActorId{0xfedcba9876543210}},
          .sequence = 7,
          .expires_at_ms = 1'700'000'000'000,
          .tombstone = false};
}

base::KeyId KeyIdWithBytes(uint8_t first, uint8_t last) {
  base::KeyId key_id;
  key_id.bytes.front() = first;
  key_id.bytes.back() = last;
  return key_id;
}

TEST(RecordTest, ComesBackAsItWas) {
  EXPECT_THAT(FromProto(ToProto(SomeRecord())), IsOkAndHolds(SomeRecord()));
}

TEST(RecordTest, TombstoneComesBackAsItWas) {
  storage::Record record = SomeRecord();
  record.tombstone = true;
  record.value.clear();
  EXPECT_THAT(FromProto(ToProto(record)), IsOkAndHolds(record));
}

TEST(RecordTest, TakesKeysAndValuesUpToTheirBound) {
  storage::Record record = SomeRecord();
  record.key.assign(kWireKeyBytesMax, 'k');
  record.value.assign(kWireValueBytesMax, 'v');
  EXPECT_THAT(FromProto(ToProto(record)), IsOkAndHolds(record));
}

TEST(RecordTest, RefusesEmptyKey) {
  storage::Record record = SomeRecord();
  record.key.clear();
  const absl::StatusOr<storage::Record> parsed = FromProto(ToProto(record));
  EXPECT_THAT(parsed, StatusIs(kInvalid, HasSubstr("key: 0 bytes, of 1 to 4096")));
  EXPECT_EQ(base::ReasonOf(parsed.status()), base::kReasonMessageInvalid);
}

TEST(RecordTest, RefusesKeyBeyondItsBound) {
  storage::Record record = SomeRecord();
  record.key.assign(kWireKeyBytesMax + 1, 'k');
  EXPECT_THAT(FromProto(ToProto(record)), StatusIs(kInvalid, HasSubstr("key: 4097 bytes")));
}

TEST(RecordTest, RefusesValueBeyondItsBound) {
  storage::Record record = SomeRecord();
  record.value.assign(kWireValueBytesMax + 1, 'v');
  EXPECT_THAT(FromProto(ToProto(record)), StatusIs(kInvalid, HasSubstr("value: 8388609 bytes")));
}

TEST(RecordTest, RefusesTombstoneWithValue) {
  storage::Record record = SomeRecord();
  record.tombstone = true;
  EXPECT_THAT(FromProto(ToProto(record)), StatusIs(kInvalid, HasSubstr("in a tombstone")));
}

TEST(RecordTest, RefusesMissingVersionAndSequence) {
  storage::Record record = SomeRecord();
  record.version.hlc = 0;
  EXPECT_THAT(FromProto(ToProto(record)), StatusIs(kInvalid, HasSubstr("version.hlc")));
  record = SomeRecord();
  record.sequence = 0;
  EXPECT_THAT(FromProto(ToProto(record)), StatusIs(kInvalid, HasSubstr("sequence")));
}

merkle::Tree::RootedProof SomeProof() {
  merkle::Tree::RootedProof proof;
  proof.root.bytes.fill(1);
  proof.proof.siblings.resize(3);
  proof.proof.siblings[1].bytes.fill(2);
  merkle::Leaf leaf{.key_id = KeyIdWithBytes(1, 2), .version = {.hlc = 3}, .expires_at_ms = 4};
  leaf.value_digest.bytes.fill(5);
  proof.proof.end = leaf;
  return proof;
}

TEST(ProofTest, ComesBackAsItWas) {
  ASSERT_OK_AND_ASSIGN(merkle::Tree::RootedProof proof, FromProto(ToProto(SomeProof())));
  EXPECT_EQ(proof.root, SomeProof().root);
  EXPECT_EQ(proof.proof, SomeProof().proof);
}

TEST(ProofTest, WithoutEndComesBackAsItWas) {
  merkle::Tree::RootedProof sent = SomeProof();
  sent.proof.end.reset();
  ASSERT_OK_AND_ASSIGN(merkle::Tree::RootedProof proof, FromProto(ToProto(sent)));
  EXPECT_EQ(proof.proof, sent.proof);
}

TEST(ProofTest, RefusesMoreSiblingsThanBits) {
  v1::ProveResponse message = ToProto(SomeProof());
  while (message.siblings_size() < base::kKeyIdBits) message.add_siblings();
  EXPECT_OK(FromProto(message));
  message.add_siblings();
  EXPECT_THAT(FromProto(message), StatusIs(kInvalid, HasSubstr("siblings: 161 digests")));
}

TEST(ProofTest, RefusesWhatHasTheWrongLength) {
  v1::ProveResponse message = ToProto(SomeProof());
  message.mutable_root()->pop_back();
  EXPECT_THAT(FromProto(message), StatusIs(kInvalid, HasSubstr("root: 31 bytes, must be 32")));
  message = ToProto(SomeProof());
  message.set_siblings(0, "x");
  EXPECT_THAT(FromProto(message), StatusIs(kInvalid, HasSubstr("siblings: 1 bytes")));
  message = ToProto(SomeProof());
  message.set_siblings(0, std::string(32, '\0'));
  EXPECT_THAT(FromProto(message), StatusIs(kInvalid, HasSubstr("must be empty")));
  message = ToProto(SomeProof());
  message.mutable_end()->set_key_id("short");
  EXPECT_THAT(FromProto(message), StatusIs(kInvalid, HasSubstr("end.key_id: 5 bytes")));
  message = ToProto(SomeProof());
  message.mutable_end()->clear_version();
  EXPECT_THAT(FromProto(message), StatusIs(kInvalid, HasSubstr("end.version: is missing")));
}

TEST(PrefixTest, HasOneFormAtEveryLength) {
  base::KeyId ones;
  ones.bytes.fill(0xff);
  for (int bit_count = 0; bit_count <= base::kKeyIdBits; ++bit_count) {
    const base::KeyPrefix prefix = base::MakePrefix(ones, bit_count);
    const std::string bytes = PackPrefix(prefix);
    EXPECT_EQ(bytes.size(), static_cast<size_t>((bit_count + 7) / 8));
    EXPECT_THAT(UnpackPrefix(bytes, bit_count), IsOkAndHolds(prefix));
    EXPECT_THAT(UnpackPrefix(bytes + '\0', bit_count), StatusIs(kInvalid));
  }
  EXPECT_THAT(UnpackPrefix(std::string(21, '\0'), 161),
              StatusIs(kInvalid, HasSubstr("bit_count: 161")));
  EXPECT_THAT(UnpackPrefix("\x18", 4), StatusIs(kInvalid, HasSubstr("bits after the first 4")));
}

// The prefixes at which packing changes: none, part of a byte, whole bytes, all.
class PackingTest : public ::testing::TestWithParam<int> {};

TEST_P(PackingTest, KeyIdsAndEntriesComeBackAsTheyWere) {
  const base::KeyId key_id = KeyIdWithBytes(0xab, 0xcd);
  const base::KeyPrefix prefix = base::MakePrefix(key_id, GetParam());
  const std::vector<base::KeyId> key_ids(GetParam() == 160 ? 1 : 3, key_id);
  EXPECT_THAT(UnpackKeyIds("wanted", prefix, PackKeyIds(prefix, key_ids)), IsOkAndHolds(key_ids));
  std::vector<merkle::EntrySummary> entries;
  for (const base::KeyId& id : key_ids) {
    entries.push_back({id, {.hlc = 0x1122334455667788, .actor = base::ActorId{9}}});
  }
  EXPECT_THAT(UnpackEntries("newer", prefix, PackEntries(prefix, entries)), IsOkAndHolds(entries));
  EXPECT_THAT(UnpackEntries("newer", prefix, ""), IsOkAndHolds(::testing::IsEmpty()));
}

TEST_P(PackingTest, RefusesPartOfAnItem) {
  const base::KeyId key_id = KeyIdWithBytes(0xab, 0xcd);
  const base::KeyPrefix prefix = base::MakePrefix(key_id, GetParam());
  std::string bytes = PackEntries(prefix, {{key_id, {.hlc = 1}}});
  bytes.pop_back();
  EXPECT_THAT(UnpackEntries("newer", prefix, bytes),
              StatusIs(kInvalid, HasSubstr("must be a multiple of")));
}

INSTANTIATE_TEST_SUITE_P(Bits, PackingTest, ::testing::Values(0, 1, 4, 8, 12, 152, 156, 159, 160));

TEST(PackingTest, PacksLittleEndianBehindTheTailOfTheKeyId) {
  const base::KeyId key_id = KeyIdWithBytes(0xab, 0xcd);
  const std::string bytes = PackEntries(
      base::MakePrefix(key_id, 156),
      {{key_id, {.hlc = 0x0102030405060708, .actor = base::ActorId{0x1112131415161718}}}});
  EXPECT_EQ(bytes, "\xcd\x08\x07\x06\x05\x04\x03\x02\x01\x18\x17\x16\x15\x14\x13\x12\x11");
}

TEST(PackingTest, RefusesKeyIdOutsideOfPrefix) {
  const base::KeyPrefix prefix = base::MakePrefix(KeyIdWithBytes(0xab, 0), 4);
  std::string bytes(20, '\0');
  EXPECT_THAT(UnpackKeyIds("wanted", prefix, bytes),
              StatusIs(kInvalid, HasSubstr("wanted: a key_id outside of prefix 1010")));
}

}  // namespace
}  // namespace slipstream::node
