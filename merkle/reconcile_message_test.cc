#include "merkle/reconcile_message.h"

#include <vector>

#include "absl/status/status.h"
#include "base/error_reason.h"
#include "base/key_id.h"
#include "base/testing/status_matchers.h"
#include "base/version.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace slipstream::merkle {
namespace {

using ::slipstream::base::testing::IsOk;
using ::slipstream::base::testing::StatusIs;

base::KeyId KeyIdFrom(uint8_t first, uint8_t last) {
  base::KeyId key_id;
  key_id.bytes.front() = first;
  key_id.bytes.back() = last;
  return key_id;
}

base::KeyPrefix PrefixFrom(uint8_t first, int bit_count) {
  return base::MakePrefix(KeyIdFrom(first, 0), bit_count);
}

EntrySummary EntryFrom(uint8_t first, uint8_t last) {
  return {.key_id = KeyIdFrom(first, last), .version = {.hlc = 1, .actor = base::ActorId{1}}};
}

template <typename T>
void ExpectInvalid(const T& message) {
  const absl::Status status = CheckForm(message);
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_EQ(base::ReasonOf(status), base::kReasonMessageInvalid);
}

TEST(CheckFormTest, TakesWhatTheGrammarAllows) {
  EXPECT_OK(CheckForm(ChildFingerprints{}));
  EXPECT_OK(CheckForm(ChildFingerprints{
      .prefix = PrefixFrom(0xab, 156), .present = 0x8001, .fingerprints = {1, 2}}));
  EXPECT_OK(CheckForm(EntryList{}));
  EXPECT_OK(CheckForm(EntryList{.prefix = PrefixFrom(0xab, 4),
                                .entries = {EntryFrom(0xa0, 1), EntryFrom(0xaf, 0)}}));
  EXPECT_OK(CheckForm(
      EntryList{.prefix = base::MakePrefix(KeyIdFrom(1, 2), 160), .entries = {EntryFrom(1, 2)}}));
  EXPECT_OK(CheckForm(ListVerdict{.prefix = PrefixFrom(0xab, 4),
                                  .wanted = {KeyIdFrom(0xa1, 0)},
                                  .newer = {EntryFrom(0xa0, 0)}}));
}

TEST(CheckFormTest, RefusesPrefixesThatAreNone) {
  for (const int bit_count : {-4, -1, 1, 2, 3, 5, 159, 161, 164, 1 << 30}) {
    ExpectInvalid(ChildFingerprints{.prefix = {.bits = {}, .bit_count = bit_count}});
    ExpectInvalid(EntryList{.prefix = {.bits = {}, .bit_count = bit_count}});
    ExpectInvalid(ListVerdict{.prefix = {.bits = {}, .bit_count = bit_count}});
  }
  ExpectInvalid(EntryList{.prefix = {.bits = KeyIdFrom(0x08, 0), .bit_count = 4}});
  ExpectInvalid(EntryList{.prefix = {.bits = KeyIdFrom(0, 1), .bit_count = 156}});
}

TEST(CheckFormTest, RefusesASubtreeBelowWhichThereIsNothing) {
  ExpectInvalid(ChildFingerprints{.prefix = PrefixFrom(0, 160)});
}

TEST(CheckFormTest, RefusesAWrongNumberOfFingerprints) {
  ExpectInvalid(ChildFingerprints{.prefix = {}, .present = 1, .fingerprints = {}});
  ExpectInvalid(ChildFingerprints{.prefix = {}, .present = 3, .fingerprints = {1, 2, 3}});
  ExpectInvalid(ChildFingerprints{.prefix = {}, .present = 0, .fingerprints = {1}});
}

TEST(CheckFormTest, RefusesEntriesOutOfOrderOrPlace) {
  const base::KeyPrefix prefix = PrefixFrom(0xa0, 4);
  const std::vector<std::vector<EntrySummary>> bad = {
      {EntryFrom(0xa1, 0), EntryFrom(0xa0, 0)},
      {EntryFrom(0xa1, 0), EntryFrom(0xa1, 0)},
      {EntryFrom(0x9f, 0)},
      {EntryFrom(0xa1, 0), EntryFrom(0xb0, 0)},
  };
  for (const std::vector<EntrySummary>& entries : bad) {
    ExpectInvalid(EntryList{.prefix = prefix, .entries = entries});
    ListVerdict verdict{.prefix = prefix, .wanted = {}, .newer = entries};
    ExpectInvalid(verdict);
    verdict.newer.clear();
    for (const EntrySummary& entry : entries) verdict.wanted.push_back(entry.key_id);
    ExpectInvalid(verdict);
  }
}

TEST(CheckDisjointTest, RefusesEqualAndNestedPrefixes) {
  EXPECT_OK(CheckDisjoint({}));
  EXPECT_OK(CheckDisjoint({PrefixFrom(0, 0)}));
  EXPECT_OK(CheckDisjoint({PrefixFrom(0x20, 4), PrefixFrom(0x10, 4), PrefixFrom(0x31, 8)}));
  EXPECT_THAT(CheckDisjoint({PrefixFrom(0x20, 4), PrefixFrom(0x10, 4), PrefixFrom(0x20, 4)}),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(CheckDisjoint({PrefixFrom(0x2f, 8), PrefixFrom(0x21, 8), PrefixFrom(0x20, 4)}),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(CheckDisjoint({PrefixFrom(0x20, 4), PrefixFrom(0, 0)}),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(CheckFormTest, RefusesMessagesWhoseItemsOverlap) {
  const ChildFingerprints subtree{.prefix = PrefixFrom(0x20, 4)};
  const EntryList list{.prefix = PrefixFrom(0x21, 8), .entries = {}};
  ExpectInvalid(ReconcileRequest{.salt = {}, .subtrees = {subtree}, .lists = {list}});
  ExpectInvalid(ReconcileRequest{.salt = {}, .subtrees = {subtree, subtree}, .lists = {}});
  ReconcileResponse response;
  response.lists = {list};
  response.verdicts = {{.prefix = list.prefix, .wanted = {}, .newer = {}}};
  ExpectInvalid(response);
}

TEST(CheckFormTest, ChecksEveryItemOfAMessage) {
  const base::KeyPrefix bad{.bits = {}, .bit_count = 3};
  ExpectInvalid(ReconcileRequest{.salt = {}, .subtrees = {{.prefix = bad}}, .lists = {}});
  ExpectInvalid(ReconcileRequest{.salt = {}, .subtrees = {}, .lists = {{.prefix = bad}}});
  ReconcileResponse response;
  response.subtrees = {{.prefix = bad}};
  ExpectInvalid(response);
  response = {};
  response.lists = {{.prefix = bad}};
  ExpectInvalid(response);
  response = {};
  response.verdicts = {{.prefix = bad, .wanted = {}, .newer = {}}};
  ExpectInvalid(response);
}

TEST(BytesOfTest, CountsPrefixOnceAndEntriesWithoutIt) {
  const EntryList empty{.prefix = PrefixFrom(0xab, 8), .entries = {}};
  EntryList two = empty;
  two.entries = {EntryFrom(0xab, 1), EntryFrom(0xab, 2)};
  EXPECT_EQ(BytesOf(two) - BytesOf(empty), 2u * (19 + 16));
  EXPECT_EQ(BytesOf(ChildFingerprints{.prefix = {}, .present = 3, .fingerprints = {1, 2}}) -
                BytesOf(ChildFingerprints{}),
            16u);
  EXPECT_EQ(BytesOf(ListVerdict{.prefix = {}, .wanted = {{}, {}}, .newer = {{}}}) -
                BytesOf(ListVerdict{}),
            2u * 20 + 36);
}

}  // namespace
}  // namespace slipstream::merkle
