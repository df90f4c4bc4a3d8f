// The inspectors on the golden files: what they show, and that no damage passes.
#include "cli/inspect_file.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/digest.h"
#include "base/key_id.h"
#include "base/testing/status_matchers.h"
#include "base/version.h"
#include "cli/inspect_report.h"
#include "cli/inspect_source.h"
#include "cli/json.h"
#include "cli/proof_file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "merkle/leaf.h"
#include "merkle/proof.h"
#include "storage/frame.h"
#include "storage/identity.h"
#include "storage/record.h"
#include "storage/run_format.h"
#include "storage/segment.h"
#include "storage/snapshot_file.h"

namespace slipstream::cli {
namespace {

using base::testing::StatusIs;
using storage::FrameHeader;
using storage::kPageBytes;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr absl::string_view kFirstSegment = "storage_v1/0000000000000001.log";
constexpr absl::string_view kRun = "sorted_log_v1/0000000000000001.run";
const char* const kGoldenFiles[] = {
    "storage_v1/0000000000000001.log",
    "storage_v1/0000000000000002.log",
    "storage_v1/identity",
    "storage_v1_codecs/0000000000000001.log",
    "storage_v1_compacted/000000000000000b.log",
    "storage_v1_compacted/000000000000000c.log",
    "storage_v1_compacted/manifest",
    "snapshot_v1/identity",
    "snapshot_v1/snapshot",
    "sorted_log_v1/0000000000000001.run",
    "sorted_log_v1/index",
};
// Old bytes follow the last frame of these, and are nobody's.
const char* const kGoldenRecycledFiles[] = {
    "storage_v1_streamed/0000000000000001.log", "storage_v1_streamed/0000000000000002.log",
    "storage_v1_recycled/0000000000000007.log", "storage_v1_recycled/0000000000000008.log",
    "storage_v1_recycled/0000000000000009.log",
};

std::string ReadGolden(absl::string_view name) {
  std::ifstream file(absl::StrCat("tests/golden/", name), std::ios::binary);
  SLIP_CHECK(file.good());
  return {std::istreambuf_iterator<char>(file), {}};
}

InspectOptions OptionsFor(absl::string_view name) {
  return {.name = std::string(name.substr(name.rfind('/') + 1)), .records = true};
}

absl::StatusOr<InspectReport> Inspect(std::string bytes, const InspectOptions& options = {}) {
  return InspectFile(MemorySource(std::move(bytes)), options);
}

// As JSON, for the ease of naming what is in it.
Json Shown(const InspectReport& report) { return InspectJson("file", report); }

// Returns one column of a list.
std::vector<Json> Column(const Json& list, const char* name) {
  std::vector<Json> column;
  for (const Json& row : list) column.push_back(row.contains(name) ? row[name] : Json());
  return column;
}

TEST(InspectFileTest, GoldenFilesPass) {
  std::vector<const char*> names(std::begin(kGoldenFiles), std::end(kGoldenFiles));
  names.insert(names.end(), std::begin(kGoldenRecycledFiles), std::end(kGoldenRecycledFiles));
  for (const char* name : names) {
    SCOPED_TRACE(name);
    ASSERT_OK_AND_ASSIGN(const InspectReport report, Inspect(ReadGolden(name), OptionsFor(name)));
    EXPECT_TRUE(report.passes) << InspectText(name, report);
  }
}

TEST(InspectFileTest, ShowsASegment) {
  ASSERT_OK_AND_ASSIGN(const InspectReport report,
                       Inspect(ReadGolden(kFirstSegment), {.records = true}));
  const Json json = Shown(report);
  EXPECT_EQ(json["kind"], "segment");
  EXPECT_EQ(json["header"]["segment_number"], 1);
  EXPECT_EQ(json["header"]["segment_bytes"], 16384);
  EXPECT_EQ(json["summary"]["record_count"], 6);
  EXPECT_THAT(Column(json["frames"], "offset"), ElementsAre(4096, 8192, 12288));
  EXPECT_THAT(Column(json["frames"], "frame_number"), ElementsAre(1, 2, 3));
  EXPECT_THAT(Column(json["frames"], "first_lsn"), ElementsAre(1, 2, 6));
  EXPECT_THAT(Column(json["frames"], "last_lsn"), ElementsAre(1, 5, 6));
  EXPECT_THAT(Column(json["frames"], "record_count"), ElementsAre(1, 4, 1));
  EXPECT_THAT(Column(json["frames"], "durable_lsn"), ElementsAre(0, 1, 5));
  const Json& records = json["records"];
  EXPECT_THAT(Column(records, "lsn"), ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_THAT(Column(records, "type"), ElementsAre("put", "put", "put", "commit", "delete", "put"));
  EXPECT_THAT(Column(records, "key"),
              ElementsAre("hello", "left", "right", Json(), "gone", "foreign"));
  EXPECT_THAT(Column(records, "tx_id"), ElementsAre(Json(), 1, 1, 1, Json(), Json()));
  EXPECT_EQ(records[0]["offset"], 4096 + 64);
  EXPECT_EQ(records[0]["codec"], "none");
  EXPECT_EQ(records[0]["shard"], base::KeyIdOf("hello").shard());
  EXPECT_EQ(records[0]["value_digest"].get<std::string>().substr(0, 8), "486ea462");
  EXPECT_EQ(records[3]["committed_count"], 2);
  EXPECT_EQ(records[5]["version"], "018bcfe568000007-0000000000abcdef");
  EXPECT_EQ(records[5]["sequence"], 41);
  EXPECT_EQ(records[5]["expires_at_ms"], 1'800'000'000'000);
}

TEST(InspectFileTest, ShowsWhatWasStreamedAndWhatCommitsIt) {
  ASSERT_OK_AND_ASSIGN(
      const InspectReport first,
      Inspect(ReadGolden("storage_v1_streamed/0000000000000001.log"), {.records = true}));
  Json records = Shown(first)["records"];
  EXPECT_THAT(Column(records, "type"),
              ElementsAre("streamed put", "put", "streamed put", "streamed delete", "put"));
  EXPECT_THAT(Column(records, "stream_number"), ElementsAre(1, Json(), 2, 3, Json()));
  EXPECT_EQ(records[0]["version"], Json());
  ASSERT_OK_AND_ASSIGN(
      const InspectReport second,
      Inspect(ReadGolden("storage_v1_streamed/0000000000000002.log"), {.records = true}));
  EXPECT_TRUE(second.passes);
  records = Shown(second)["records"];
  EXPECT_THAT(Column(records, "type"),
              ElementsAre("streamed put", "streamed rollback", "streamed commit"));
  EXPECT_THAT(Column(records, "tx_id"), ElementsAre(2, 2, 1));
  EXPECT_EQ(records[2]["segments"], "1");
  EXPECT_EQ(records[2]["version"].get<std::string>().substr(0, 16), "018bcfe568000002");
}

TEST(InspectFileTest, ShowsCodecs) {
  ASSERT_OK_AND_ASSIGN(
      const InspectReport report,
      Inspect(ReadGolden("storage_v1_codecs/0000000000000001.log"), {.records = true}));
  const Json records = Shown(report)["records"];
  EXPECT_THAT(Column(records, "codec"), ElementsAre("none", "lz4", "zstd"));
  EXPECT_EQ(records[1]["raw_bytes"], 220);
  EXPECT_LT(records[1]["stored_bytes"], 220);
}

TEST(InspectFileTest, ShowsNoRecordsUnasked) {
  ASSERT_OK_AND_ASSIGN(const InspectReport report, Inspect(ReadGolden(kFirstSegment)));
  EXPECT_FALSE(Shown(report).contains("records"));
}

TEST(InspectFileTest, StopsAtTheLimitAndCountsTheRest) {
  for (const auto& [name, count] :
       std::vector<std::pair<absl::string_view, int>>{{kFirstSegment, 6}, {kRun, 47}}) {
    ASSERT_OK_AND_ASSIGN(const InspectReport report,
                         Inspect(ReadGolden(name), {.records = true, .limit = 2}));
    const Json json = Shown(report);
    EXPECT_EQ(json["records"].size(), 2u);
    EXPECT_EQ(json["records_left_out"], count - 2);
  }
}

TEST(InspectFileTest, ShowsARun) {
  ASSERT_OK_AND_ASSIGN(const InspectReport report, Inspect(ReadGolden(kRun), {.records = true}));
  const Json json = Shown(report);
  EXPECT_EQ(json["kind"], "run");
  EXPECT_EQ(json["header"]["entry_count"], 47);
  EXPECT_EQ(json["header"]["page_count"], 2);
  EXPECT_EQ(json["summary"]["entry_count"], 47);
  ASSERT_EQ(json["records"].size(), 47u);
  EXPECT_EQ(json["records"][0]["key_id"], json["header"]["first_key_id"]);
  EXPECT_EQ(json["records"][46]["key_id"], json["header"]["last_key_id"]);
  EXPECT_EQ(json["records"][0]["offset"], 4096 + 16);
  EXPECT_EQ(json["records"][46]["offset"], 8192 + 16);
}

TEST(InspectFileTest, ShowsAnIndex) {
  ASSERT_OK_AND_ASSIGN(const InspectReport report, Inspect(ReadGolden("sorted_log_v1/index")));
  const Json json = Shown(report);
  EXPECT_EQ(json["kind"], "index");
  EXPECT_EQ(json["header"]["next_run_number"], 2);
  EXPECT_THAT(Column(json["runs"], "name"), ElementsAre("0000000000000001.run"));
  EXPECT_THAT(Column(json["segments"], "segment_number"), ElementsAre(3, 4));
  EXPECT_THAT(Column(json["segments"], "full"), ElementsAre(true, false));
  EXPECT_EQ(json["segments"][1]["dead_bytes"], 1);
  EXPECT_EQ(json["summary"]["first_position_segment"], 3);
  EXPECT_EQ(json["summary"]["last_position_segment"], 4);
  EXPECT_EQ(json["summary"]["saved_state_bytes"], 64 * (0 + 1 + 2 + 3));
}

TEST(InspectFileTest, ShowsIdentityAndManifest) {
  ASSERT_OK_AND_ASSIGN(const InspectReport identity, Inspect(ReadGolden("storage_v1/identity")));
  EXPECT_EQ(Shown(identity)["kind"], "identity");
  EXPECT_EQ(Shown(identity)["header"]["clean"], true);
  EXPECT_EQ(Shown(identity)["header"]["sync_policy"], "always");
  ASSERT_OK_AND_ASSIGN(const InspectReport manifest,
                       Inspect(ReadGolden("storage_v1_compacted/manifest")));
  const Json json = Shown(manifest);
  EXPECT_EQ(json["kind"], "manifest");
  EXPECT_EQ(json["header"]["last_hlc"], "018bcfe568000021");
  EXPECT_EQ(json["summary"]["greatest_sequence"], 30);
  EXPECT_THAT(Column(json["gaps"], "first_number"), ElementsAre(1));
  EXPECT_THAT(Column(json["gaps"], "last_number"), ElementsAre(10));
  EXPECT_THAT(Column(json["gaps"], "last_lsn"), ElementsAre(35));
}

TEST(InspectFileTest, ShowsASnapshotAndFindsItsDamage) {
  base::Digest root;
  root.bytes[0] = 0xab;
  const std::string bytes = storage::EncodeSnapshotFile(
      {.header = {.root = root, .node_id = 7, .key_count = 3, .last_lsn = 5},
       .node_name = "n1",
       .members = {storage::MakeSnapshotMember("0000000000000001.log", 16384),
                   storage::MakeSnapshotMember("identity", 128)}});
  ASSERT_OK_AND_ASSIGN(const InspectReport report, Inspect(bytes));
  EXPECT_TRUE(report.passes);
  const Json json = Shown(report);
  EXPECT_EQ(json["kind"], "snapshot");
  EXPECT_EQ(json["header"]["root"], base::ToHex(root));
  EXPECT_EQ(json["header"]["node_id"], "0000000000000007");
  EXPECT_EQ(json["header"]["key_count"], 3);
  EXPECT_EQ(json["header"]["node_name"], "n1");
  EXPECT_THAT(Column(json["files"], "name"), ElementsAre("0000000000000001.log", "identity"));
  EXPECT_THAT(Column(json["files"], "file_bytes"), ElementsAre(16384, 128));
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    ASSERT_OK_AND_ASSIGN(const InspectReport damaged, Inspect(flipped, {.name = "snapshot"}));
    ASSERT_FALSE(damaged.passes) << "bit " << bit;
  }
  for (const size_t length : {0u, 20u, 127u, 128u, 180u}) {
    ASSERT_OK_AND_ASSIGN(const InspectReport cut,
                         Inspect(bytes.substr(0, length), {.name = "snapshot"}));
    EXPECT_FALSE(cut.passes) << length;
  }
}

// Returns the zeros behind frames, which no check covers, as storage/segment_scan.h does not look
// at them.
bool IsPadding(const Json& frames, uint64_t offset) {
  return std::any_of(frames.begin(), frames.end(), [offset](const Json& frame) {
    const uint64_t begin = frame["offset"];
    const uint64_t payload_bytes = frame["payload_bytes"];
    return begin + storage::kFrameHeaderBytes + payload_bytes <= offset &&
           offset < begin + storage::FrameBytes(payload_bytes);
  });
}

TEST(InspectFileTest, NoBitFlipPasses) {
  for (const char* name : kGoldenFiles) {
    SCOPED_TRACE(name);
    const std::string good = ReadGolden(name);
    const InspectOptions options = OptionsFor(name);
    ASSERT_OK_AND_ASSIGN(const InspectReport whole, Inspect(good, options));
    const Json shown = Shown(whole);
    const Json frames = shown.contains("frames") ? shown["frames"] : Json::array();
    for (size_t offset = 0; offset < good.size(); ++offset) {
      // What follows the last frame is zeros, one like the other.
      const bool in_tail = !frames.empty() && offset >= shown["summary"]["end_offset"];
      if (IsPadding(frames, offset) || (in_tail && offset % 61 != 0)) continue;
      std::string bad = good;
      bad[offset] = static_cast<char>(bad[offset] ^ (1 << offset % 8));
      ASSERT_OK_AND_ASSIGN(const InspectReport report, Inspect(bad, options));
      ASSERT_FALSE(report.passes) << offset;
      ASSERT_FALSE(report.damage.empty());
      // Damage is told where it is: in its page, behind the last frame at that one's end.
      const bool placed = std::any_of(report.damage.begin(), report.damage.end(),
                                      [offset](const InspectDamage& damage) {
                                        return damage.offset / kPageBytes == offset / kPageBytes;
                                      });
      ASSERT_TRUE(placed || in_tail || frames.empty()) << offset;
    }
  }
}

TEST(InspectFileTest, NoFileCutShortPasses) {
  for (const char* name : kGoldenFiles) {
    SCOPED_TRACE(name);
    const std::string good = ReadGolden(name);
    for (size_t bytes = 0; bytes < good.size(); bytes += 61) {
      ASSERT_OK_AND_ASSIGN(const InspectReport report,
                           Inspect(good.substr(0, bytes), OptionsFor(name)));
      ASSERT_FALSE(report.passes) << bytes;
    }
    ASSERT_OK_AND_ASSIGN(const InspectReport longer, Inspect(good + '\0', OptionsFor(name)));
    EXPECT_FALSE(longer.passes);
  }
}

TEST(InspectFileTest, ReadsOnBehindADamagedFrame) {
  std::string bytes = ReadGolden(kFirstSegment);
  bytes[4096 + 40] ^= 1;  // Its header's durable_lsn.
  ASSERT_OK_AND_ASSIGN(const InspectReport report, Inspect(bytes, {.records = true}));
  const Json json = Shown(report);
  EXPECT_THAT(Column(json["frames"], "offset"), ElementsAre(4096, 8192, 12288));
  EXPECT_THAT(json["frames"][0]["damage"].get<std::string>(), HasSubstr("frame header crc"));
  EXPECT_THAT(Column(json["records"], "lsn"), ElementsAre(2, 3, 4, 5, 6));
  EXPECT_EQ(json["damage"].size(), 1u);
  EXPECT_FALSE(json["summary"].contains("tail"));
}

TEST(InspectFileTest, NamesTheDamagedRecordAndShowsTheOthers) {
  std::string bytes = ReadGolden(kFirstSegment);
  // The frame's last record is the delete of "gone", its last byte that key's.
  ASSERT_OK_AND_ASSIGN(const InspectReport whole, Inspect(bytes));
  const uint64_t payload_bytes = Shown(whole)["frames"][1]["payload_bytes"];
  bytes[8192 + storage::kFrameHeaderBytes + payload_bytes - 1] ^= 1;
  ASSERT_OK_AND_ASSIGN(const InspectReport report, Inspect(bytes, {.records = true}));
  const Json json = Shown(report);
  EXPECT_THAT(Column(json["records"], "lsn"), ElementsAre(1, 2, 3, 4, 6));
  ASSERT_EQ(json["damage"].size(), 2u);
  EXPECT_THAT(json["damage"][0]["what"].get<std::string>(), HasSubstr("frame payload crc"));
  EXPECT_THAT(json["damage"][1]["what"].get<std::string>(), HasSubstr("LSN 5: record crc"));
  EXPECT_EQ(json["damage"][1]["offset"],
            8192 + storage::kFrameHeaderBytes + payload_bytes - 80 - 4);
}

TEST(InspectFileTest, ReadsASegmentWithoutItsHeader) {
  for (const bool zeros : {false, true}) {
    std::string bytes = ReadGolden(kFirstSegment);
    if (zeros) {
      bytes.replace(0, kPageBytes, kPageBytes, '\0');
    } else {
      bytes[100] ^= 1;
    }
    ASSERT_OK_AND_ASSIGN(const InspectReport report, Inspect(bytes, OptionsFor(kFirstSegment)));
    EXPECT_FALSE(report.passes);
    EXPECT_EQ(Shown(report)["damage"].size(), 1u);
    EXPECT_THAT(Column(Shown(report)["records"], "lsn"), ElementsAre(1, 2, 3, 4, 5, 6));
  }
}

TEST(InspectFileTest, ReadsARunWithoutItsHeader) {
  std::string bytes = ReadGolden(kRun);
  bytes[100] ^= 1;
  ASSERT_OK_AND_ASSIGN(const InspectReport report, Inspect(bytes, {.records = true}));
  EXPECT_EQ(report.damage.size(), 1u);
  EXPECT_EQ(Shown(report)["records"].size(), 47u);
}

TEST(InspectFileTest, ReadsTheOtherPagesOfARun) {
  std::string bytes = ReadGolden(kRun);
  bytes[4096 + 500] ^= 1;
  ASSERT_OK_AND_ASSIGN(const InspectReport report, Inspect(bytes, {.records = true}));
  EXPECT_EQ(report.damage.size(), 1u);
  EXPECT_EQ(report.damage[0].offset, 4096u);
  EXPECT_EQ(Shown(report)["records"].size(), 1u);
}

// Returns the golden run after `change`, with all its checksums right.
std::string RunWith(void (*change)(storage::RunHeader& header, std::string& bytes)) {
  std::string bytes = ReadGolden(kRun);
  absl::StatusOr<storage::RunHeader> header =
      storage::DecodeRunHeader(absl::string_view(bytes).substr(0, kPageBytes));
  SLIP_CHECK(header.ok());
  change(*header, bytes);
  const absl::string_view view(bytes);
  header->fences_crc32c = base::Crc32c(view.substr(header->fences_offset, kPageBytes));
  header->filter_crc32c = base::Crc32c(view.substr(header->filter_offset, kPageBytes));
  return bytes.replace(0, kPageBytes, storage::EncodeRunHeader(*header));
}

TEST(InspectFileTest, HoldsThePagesOfARunAgainstTheRestOfIt) {
  ASSERT_OK_AND_ASSIGN(
      const InspectReport same,
      Inspect(RunWith([](storage::RunHeader& /*header*/, std::string& /*bytes*/) {})));
  EXPECT_TRUE(same.passes);
  ASSERT_OK_AND_ASSIGN(const InspectReport fence,
                       Inspect(RunWith([](storage::RunHeader& header, std::string& bytes) {
                         bytes[header.fences_offset + 8] ^= 1;
                       })));
  ASSERT_EQ(fence.damage.size(), 1u);
  EXPECT_EQ(fence.damage[0].offset, 8192u);
  ASSERT_OK_AND_ASSIGN(const InspectReport filter,
                       Inspect(RunWith([](storage::RunHeader& header, std::string& bytes) {
                         bytes.replace(header.filter_offset + 64, 64, 64, '\0');
                       })));
  ASSERT_EQ(filter.damage.size(), 1u);
  EXPECT_EQ(filter.damage[0].what, "entry is not in the filter");
  ASSERT_OK_AND_ASSIGN(const InspectReport counts,
                       Inspect(RunWith([](storage::RunHeader& header, std::string& /*bytes*/) {
                         ++header.tombstone_count;
                       })));
  EXPECT_EQ(counts.damage.size(), 1u);
  ASSERT_OK_AND_ASSIGN(const InspectReport last,
                       Inspect(RunWith([](storage::RunHeader& header, std::string& /*bytes*/) {
                         header.last_key_id.bytes[19] ^= 1;
                       })));
  EXPECT_EQ(last.damage.size(), 1u);
}

TEST(InspectFileTest, HoldsValuesAgainstTheirDigests) {
  std::string bytes = ReadGolden(kFirstSegment);
  char* const page = bytes.data() + 12288;  // The last frame, of one record.
  char* const payload = page + storage::kFrameHeaderBytes;
  FrameHeader frame;
  std::memcpy(&frame, page, sizeof(frame));
  payload[offsetof(storage::RecordHeader, value_digest)] ^= 1;
  const absl::string_view record(payload, frame.payload_bytes);
  const uint32_t record_crc = base::Crc32c(record.substr(sizeof(record_crc)));
  std::memcpy(payload, &record_crc, sizeof(record_crc));
  frame.payload_crc32c = base::Crc32c(record);
  frame.header_crc32c = storage::FrameHeaderCrc(frame);
  std::memcpy(page, &frame, sizeof(frame));
  ASSERT_OK_AND_ASSIGN(const InspectReport report, Inspect(bytes));
  ASSERT_EQ(report.damage.size(), 1u) << InspectText("", report);
  EXPECT_EQ(report.damage[0].offset, 12288 + storage::kFrameHeaderBytes);
  EXPECT_THAT(report.damage[0].what, HasSubstr("LSN 6: "));
}

TEST(InspectFileTest, DoesNotReadBehindWhereTheNextSegmentSaysThatDataEnds) {
  std::string bytes = ReadGolden(kFirstSegment);
  bytes[12288 + 64] ^= 1;
  ASSERT_OK_AND_ASSIGN(const InspectReport alone, Inspect(bytes));
  EXPECT_FALSE(alone.passes);
  EXPECT_THAT(Shown(alone)["summary"]["tail"].get<std::string>(), HasSubstr("torn by a crash"));
  ASSERT_OK_AND_ASSIGN(const InspectReport cut, Inspect(bytes, {.data_end = 12288}));
  EXPECT_TRUE(cut.passes) << InspectText("", cut);
  EXPECT_EQ(Shown(cut)["frames"].size(), 2u);
}

// A segment of 3 MiB whose frames, all without records, stand at `offsets`.
std::string SegmentWithWitnesses(const std::vector<uint64_t>& offsets) {
  constexpr uint64_t kSegmentBytes = 3 << 20;
  std::string bytes = storage::EncodeSegmentHeader(
      {.segment_number = 5, .incarnation = 77, .segment_bytes = kSegmentBytes, .first_lsn = 9});
  uint32_t chain = 0;
  std::copy_n(bytes.data() + 8, sizeof(chain), reinterpret_cast<char*>(&chain));
  bytes.resize(kSegmentBytes, '\0');
  uint64_t number = 0;
  for (const uint64_t offset : offsets) {
    FrameHeader frame{.incarnation = 77,
                      .segment_number = 5,
                      .frame_number = ++number,
                      .first_lsn = 9,
                      .durable_lsn = 8,
                      .payload_crc32c = base::Crc32c(""),
                      .previous_header_crc32c = chain};
    frame.header_crc32c = storage::FrameHeaderCrc(frame);
    chain = frame.header_crc32c;
    std::copy_n(reinterpret_cast<const char*>(&frame), sizeof(frame), &bytes[offset]);
  }
  return bytes;
}

TEST(InspectFileTest, MissesDataThatTheNextSegmentKnowsOf) {
  const std::string bytes = SegmentWithWitnesses({4096});
  ASSERT_OK_AND_ASSIGN(const InspectReport alone, Inspect(bytes));
  EXPECT_TRUE(alone.passes) << InspectText("", alone);
  ASSERT_OK_AND_ASSIGN(const InspectReport report, Inspect(bytes, {.data_end = 12288}));
  ASSERT_EQ(report.damage.size(), 1u);
  EXPECT_EQ(report.damage[0].offset, 8192u);
  ASSERT_OK_AND_ASSIGN(const InspectReport beyond, Inspect(bytes, {.data_end = 4 << 20}));
  EXPECT_FALSE(beyond.passes);
}

TEST(InspectFileTest, FindsTheNextFrameFarBehindDamage) {
  std::string bytes = SegmentWithWitnesses({4096, (2 << 20) + 8192});
  ASSERT_OK_AND_ASSIGN(const InspectReport report, Inspect(bytes));
  const Json json = Shown(report);
  EXPECT_THAT(Column(json["frames"], "offset"), ElementsAre(4096, 8192, (2 << 20) + 8192));
  EXPECT_THAT(Column(json["frames"], "frame_number"), ElementsAre(1, Json(), 2));
  EXPECT_EQ(json["damage"].size(), 1u);
}

TEST(InspectFileTest, KnowsWhatIsPreparedAndWhatIsNothing) {
  const std::string zeros(8192, '\0');
  ASSERT_OK_AND_ASSIGN(const InspectReport prepared, Inspect(zeros, OptionsFor(kFirstSegment)));
  EXPECT_TRUE(prepared.passes);
  EXPECT_EQ(prepared.kind, "prepared segment or spare");
  ASSERT_OK_AND_ASSIGN(const InspectReport spare, Inspect(zeros, {.name = "manifest.spare"}));
  EXPECT_TRUE(spare.passes);
  ASSERT_OK_AND_ASSIGN(const InspectReport identity, Inspect(zeros, {.name = "identity"}));
  EXPECT_FALSE(identity.passes);
  ASSERT_OK_AND_ASSIGN(const InspectReport tail, Inspect(zeros + "x", {.name = "other"}));
  EXPECT_FALSE(tail.passes);
  EXPECT_EQ(tail.damage[0].offset, 8192u);
  for (const char* bytes : {"", "abc", "\177ELF\1\1\1\1\1"}) {
    ASSERT_OK_AND_ASSIGN(const InspectReport unknown, Inspect(bytes));
    EXPECT_EQ(unknown.kind, "unknown");
    EXPECT_FALSE(unknown.passes);
  }
}

TEST(InspectFileTest, TellsARecycledSegmentThatIsPreparedFromOneThatLostItsHeader) {
  const std::string name = "storage_v1_recycled/0000000000000009.log";
  ASSERT_OK_AND_ASSIGN(const InspectReport prepared, Inspect(ReadGolden(name), OptionsFor(name)));
  EXPECT_EQ(prepared.kind, "prepared segment, recycled");
  EXPECT_EQ(Shown(prepared)["header"]["segment_number"], 9);
  EXPECT_EQ(Shown(prepared)["header"]["incarnation"], "819afc1168ad24a7");
  const std::string used_name = "storage_v1_recycled/0000000000000008.log";
  std::string bytes = ReadGolden(used_name);
  ASSERT_OK_AND_ASSIGN(const InspectReport used, Inspect(bytes, OptionsFor(used_name)));
  EXPECT_EQ(Shown(used)["frames"].size(), 1u);
  bytes.replace(0, 512, std::string(512, '\0'));
  ASSERT_OK_AND_ASSIGN(const InspectReport damaged, Inspect(bytes, OptionsFor(used_name)));
  EXPECT_EQ(damaged.kind, "segment");
  EXPECT_FALSE(damaged.passes);
  EXPECT_EQ(Shown(damaged)["frames"].size(), 1u);
}

TEST(InspectFileTest, ShowsTheTornFrameOfARecycledSegment) {
  const std::string name = "storage_v1_recycled/0000000000000008.log";
  std::string bytes = ReadGolden(name);
  bytes[4096 + 10] ^= 1;
  ASSERT_OK_AND_ASSIGN(const InspectReport report, Inspect(bytes, OptionsFor(name)));
  ASSERT_EQ(report.damage.size(), 1u);
  EXPECT_EQ(report.damage[0].offset, 4096u);
}

TEST(InspectFileTest, SaysOfAForeignFileWhatItStartsWithAndWhatOursDo) {
  constexpr absl::string_view kOurs =
      "; ours start with SLIPSEGM (segment), SLIPSRUN (run), SLIPINDX (index), SLIPMANI "
      "(manifest), SLIPIDEN (identity), SLIPSNAP (snapshot), { (proof) or zeros (prepared "
      "segment, spare)\n\n"
      "is none of our files\n";
  ASSERT_OK_AND_ASSIGN(const InspectReport elf, Inspect("\177ELF\2\1\1\3, and more"));
  EXPECT_THAT(InspectText("slipctl", elf),
              HasSubstr(absl::StrCat("starts with the bytes 7f454c4602010103", kOurs)));
  ASSERT_OK_AND_ASSIGN(const InspectReport empty, Inspect(""));
  EXPECT_THAT(InspectText("nothing", empty), HasSubstr(absl::StrCat("is empty", kOurs)));
  // A name of ours: then its magic is damaged.
  ASSERT_OK_AND_ASSIGN(const InspectReport named, Inspect("\177ELF\2\1\1\3", {.name = "identity"}));
  EXPECT_EQ(named.kind, "identity");
  EXPECT_THAT(InspectText("identity", named), Not(HasSubstr("none of our")));
}

TEST(InspectFileTest, GoesByTheMagicAndThenHoldsTheNameAgainstIt) {
  ASSERT_OK_AND_ASSIGN(const InspectReport renamed,
                       Inspect(ReadGolden(kFirstSegment), {.name = "backup"}));
  EXPECT_TRUE(renamed.passes);
  EXPECT_EQ(renamed.kind, "segment");
  ASSERT_OK_AND_ASSIGN(const InspectReport number,
                       Inspect(ReadGolden(kFirstSegment), {.name = "0000000000000002.log"}));
  ASSERT_EQ(number.damage.size(), 1u);
  EXPECT_EQ(number.damage[0].what, "is segment 1 by its header, 2 by its name");
  ASSERT_OK_AND_ASSIGN(const InspectReport run,
                       Inspect(ReadGolden(kRun), {.name = "0000000000000002.run"}));
  EXPECT_EQ(run.damage.size(), 1u);
  ASSERT_OK_AND_ASSIGN(const InspectReport kind,
                       Inspect(ReadGolden(kFirstSegment), {.name = "identity"}));
  EXPECT_EQ(kind.kind, "segment");
  EXPECT_EQ(kind.damage.size(), 1u);
}

TEST(InspectFileTest, RefusesNewerFormats) {
  const std::string segment = storage::EncodeSegmentHeader({.format_version = 2, .incarnation = 1});
  const std::string identity = storage::EncodeIdentity({.format_version = 2});
  const std::string run = storage::EncodeRunHeader({.format_version = 2});
  for (const std::string& bytes : {segment, identity, run}) {
    EXPECT_THAT(Inspect(bytes),
                StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("version 2")));
  }
}

TEST(InspectFileTest, ShowsAProof) {
  ProofFile file{.key = "a", .presence = merkle::Presence::kPresent};
  file.proof.end = merkle::Leaf{.key_id = base::KeyIdOf("a"),
                                .version = {.hlc = 1, .actor = base::ActorId{2}},
                                .value_digest = base::DigestOfValue("v")};
  file.root = merkle::DigestOfLeaf(*file.proof.end);
  ASSERT_OK_AND_ASSIGN(const InspectReport report, Inspect(FormatProofFile(file)));
  EXPECT_TRUE(report.passes) << InspectText("", report);
  const Json json = Shown(report);
  EXPECT_EQ(json["kind"], "proof");
  EXPECT_EQ(json["header"]["key"], "a");
  EXPECT_EQ(json["header"]["version"], "0000000000000001-0000000000000002");
  file.presence = merkle::Presence::kAbsent;
  ASSERT_OK_AND_ASSIGN(const InspectReport other, Inspect(FormatProofFile(file)));
  EXPECT_FALSE(other.passes);
  file.root = base::Sha256("another");
  ASSERT_OK_AND_ASSIGN(const InspectReport root, Inspect(FormatProofFile(file)));
  EXPECT_FALSE(root.passes);
  ASSERT_OK_AND_ASSIGN(const InspectReport text, Inspect("{}"));
  EXPECT_FALSE(text.passes);
  ASSERT_OK_AND_ASSIGN(const InspectReport long_text, Inspect("{" + std::string(1 << 20, ' ')));
  EXPECT_FALSE(long_text.passes);
}

}  // namespace
}  // namespace slipstream::cli
