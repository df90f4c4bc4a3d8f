#include "node/scrub_report.h"

#include <string>
#include <vector>

#include "base/key_id.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "node/replica_types.h"
#include "storage/scrub_progress.h"

namespace slipstream::node {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::IsEmpty;
using ::testing::StartsWith;

TEST(ScrubReportTest, SaysNothingOfNothing) {
  EXPECT_THAT(ScrubInWords({}, Healers::kPeers), IsEmpty());
}

TEST(ScrubReportTest, NamesKeysAndWhatHappensNext) {
  ScrubStep step;
  step.store.finding = storage::ScrubFinding{.segment_number = 7,
                                             .place_count = 1,
                                             .cause = "segment 7 offset 4096: frame payload crc",
                                             .key_count = 3,
                                             .key_ids = {base::KeyId{}}};
  const std::string zeros(2 * base::kKeyIdBytes, '0');
  EXPECT_THAT(ScrubInWords(step, Healers::kPeers),
              ElementsAre("segment 7 is damaged in 1 place (segment 7 offset 4096: frame payload "
                          "crc); out of sight until they are replaced: key_ids " +
                          zeros + " and 2 more; repair fetches them from a peer"));
  EXPECT_THAT(ScrubInWords(step, Healers::kNone),
              ElementsAre(EndsWith("no peer has them: put them again or restore a backup")));
}

TEST(ScrubReportTest, TellsDamageThatConcernsNobodyAndBucketsOfTheTree) {
  ScrubStep step{.tree_difference_count = 2};
  step.store.finding = storage::ScrubFinding{.segment_number = 7, .place_count = 2, .cause = "why"};
  EXPECT_THAT(ScrubInWords(step, Healers::kPeers),
              ElementsAre("segment 7 is damaged in 2 places (first: why); no current record is",
                          StartsWith("the Merkle tree differed from the entries in 2 buckets")));
}

}  // namespace
}  // namespace slipstream::node
