#include "node/daemon_flags.h"

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/options.h"
#include "storage/posix_file_system.h"

namespace slipstream::node {
namespace {

using base::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

absl::StatusOr<DaemonOptions> Parse(const std::vector<std::string>& arguments) {
  absl::StatusOr<ParsedFlags> flags = ParseDaemonFlags(arguments);
  if (!flags.ok()) return flags.status();
  EXPECT_FALSE(flags->text.has_value());
  return flags->options;
}

void ExpectRefused(const std::string& argument, const std::string& what) {
  const absl::Status status = Parse({argument}).status();
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(what)));
  EXPECT_THAT(std::string(status.message()), Not(HasSubstr("\n"))) << "one line";
}

TEST(DaemonFlagsTest, DefaultsAreASingleLocalNode) {
  ASSERT_OK_AND_ASSIGN(const DaemonOptions options, Parse({}));
  EXPECT_EQ(ToString(options.server.listen), "127.0.0.1:7400");
  EXPECT_EQ(options.server.data_directory, "./slipstream-data");
  EXPECT_THAT(options.server.replica.peers, IsEmpty());
  EXPECT_THAT(options.server.replica.name, HasSubstr("-7400"));
  EXPECT_EQ(options.server.replica.gossip_interval, absl::Seconds(1));
  EXPECT_EQ(options.server.replica.storage.sync, storage::SyncPolicy::kAlways);
  EXPECT_EQ(options.server.replica.storage.on_damage, storage::OnDamage::kRefuse);
  EXPECT_EQ(options.direct_io, storage::DirectIo::kWherePossible);
  EXPECT_EQ(options.io_uring, storage::UseIoUring::kWherePossible);
  EXPECT_EQ(options.server.replica.storage.compression, storage::Compression::kAuto);
  EXPECT_EQ(options.log_format, LogFormat::kText);
  EXPECT_EQ(options.server.maintenance.scrub_bytes_per_second, 8u << 20);
  EXPECT_OK(CheckListenReach(options));
}

TEST(DaemonFlagsTest, ReadsEveryFlag) {
  ASSERT_OK_AND_ASSIGN(const DaemonOptions options,
                       Parse({"--listen=127.0.0.1:7401", "--data-dir=/d",
                              "--peers=127.0.0.1:7401, b:7402,[::1]:7403", "--node-name=n1",
                              "--gossip-interval=200ms", "--sync=interval:100", "--log-format=json",
                              "--direct-io=off", "--io-uring=off", "--compression=zstd",
                              "--value-bytes-max=8388608", "--segment-bytes", "16777216",
                              "--memory-limit=256MiB", "--value-cache=0", "--scrub-rate=1MiB"}));
  EXPECT_EQ(options.server.listen.port, 7401);
  EXPECT_EQ(options.server.data_directory, "/d");
  EXPECT_THAT(options.server.replica.peers, ElementsAre("b:7402", "[::1]:7403"));
  EXPECT_EQ(options.server.replica.name, "n1");
  EXPECT_EQ(options.server.replica.gossip_interval, absl::Milliseconds(200));
  EXPECT_EQ(options.server.replica.storage.sync, storage::SyncPolicy::kInterval);
  EXPECT_EQ(options.server.sync_interval, absl::Milliseconds(100));
  EXPECT_EQ(options.direct_io, storage::DirectIo::kNever);
  EXPECT_EQ(options.io_uring, storage::UseIoUring::kNever);
  EXPECT_EQ(options.server.replica.storage.compression, storage::Compression::kZstd);
  EXPECT_EQ(options.log_format, LogFormat::kJson);
  EXPECT_EQ(options.server.replica.storage.limits.value_bytes_max, 8u << 20);
  EXPECT_EQ(options.server.replica.storage.segment_bytes, 16u << 20);
  EXPECT_EQ(options.server.replica.storage.memory_limit_bytes, 256u << 20);
  EXPECT_EQ(options.server.replica.storage.value_cache_bytes, 0u);
  EXPECT_EQ(options.server.maintenance.scrub_bytes_per_second, 1u << 20);
  EXPECT_OK(storage::ValidateOptions(options.server.replica.storage));
}

TEST(DaemonFlagsTest, KnowsEveryCompression) {
  ASSERT_OK_AND_ASSIGN(DaemonOptions options, Parse({"--compression=auto"}));
  EXPECT_EQ(options.server.replica.storage.compression, storage::Compression::kAuto);
  ASSERT_OK_AND_ASSIGN(options, Parse({"--compression=none"}));
  EXPECT_EQ(options.server.replica.storage.compression, storage::Compression::kNone);
  ASSERT_OK_AND_ASSIGN(options, Parse({"--compression=lz4"}));
  EXPECT_EQ(options.server.replica.storage.compression, storage::Compression::kLz4);
}

TEST(DaemonFlagsTest, ValuesGetAQuarterOfTheMemory) {
  ASSERT_OK_AND_ASSIGN(DaemonOptions options, Parse({"--memory-limit=1gib"}));
  EXPECT_EQ(options.server.replica.storage.memory_limit_bytes, 1u << 30);
  EXPECT_EQ(options.server.replica.storage.value_cache_bytes, 256u << 20);
  ASSERT_OK_AND_ASSIGN(options, Parse({"--memory-limit=0"}));
  EXPECT_EQ(options.server.replica.storage.memory_limit_bytes, 0u);
  EXPECT_EQ(options.server.replica.storage.value_cache_bytes, storage::Options{}.value_cache_bytes);
  ASSERT_OK_AND_ASSIGN(options, Parse({}));
  EXPECT_GE(options.server.replica.storage.memory_limit_bytes, 64u << 20);
}

TEST(DaemonFlagsTest, PeersOrTheOperatorDecideAboutDamage) {
  ASSERT_OK_AND_ASSIGN(DaemonOptions options, Parse({"--peers=127.0.0.1:1"}));
  EXPECT_EQ(options.server.replica.storage.on_damage, storage::OnDamage::kServeRest);
  ASSERT_OK_AND_ASSIGN(options, Parse({"--accept-data-loss"}));
  EXPECT_EQ(options.server.replica.storage.on_damage, storage::OnDamage::kServeRest);
  // A list of itself alone is no help.
  ASSERT_OK_AND_ASSIGN(options, Parse({"--peers=127.0.0.1:7400"}));
  EXPECT_EQ(options.server.replica.storage.on_damage, storage::OnDamage::kRefuse);
}

TEST(DaemonFlagsTest, SaysWhatIsWrongInOneLine) {
  ExpectRefused("--listen=nowhere", "--listen: \"nowhere\": has no port");
  ExpectRefused("--data-dir=", "--data-dir");
  ExpectRefused("--peers=a:1,b", "--peers: peer 2, \"b\": has no port");
  ExpectRefused("--peers=a:1,,b:2", "--peers: peer 2, \"\"");
  ExpectRefused("--peers=a:0", "port 0");
  ExpectRefused("--peers=a:1,a:1", "\"a:1\" is listed twice");
  ExpectRefused("--node-name=two words", "--node-name");
  ExpectRefused(absl::StrCat("--node-name=", std::string(256, 'n')), "--node-name");
  ExpectRefused("--gossip-interval=1", "--gossip-interval");
  ExpectRefused("--gossip-interval=9ms", "10ms to 1h");
  ExpectRefused("--gossip-interval=61m", "10ms to 1h");
  ExpectRefused("--sync=sometimes", "--sync: \"sometimes\" must be always");
  ExpectRefused("--sync=interval", "interval:MS");
  ExpectRefused("--sync=interval:0", "interval:MS");
  ExpectRefused("--sync=interval:60001", "interval:MS");
  ExpectRefused("--direct-io=on", "--direct-io: \"on\" must be auto or off");
  ExpectRefused("--io-uring=1", "--io-uring: \"1\" must be auto or off");
  ExpectRefused("--compression=gzip", "\"gzip\" must be auto, none, lz4 or zstd");
  ExpectRefused("--compression=", "--compression");
  ExpectRefused("--log-format=xml", "--log-format");
  ExpectRefused("--value-bytes-max=0", "--value-bytes-max");
  ExpectRefused("--value-bytes-max=8388609", "--value-bytes-max");
  ExpectRefused("--value-bytes-max=much", "--value-bytes-max");
  ExpectRefused("--memory-limit=63MiB", "--memory-limit: 66060288 must be 0 or at least 67108864");
  ExpectRefused("--memory-limit=much", "--memory-limit");
  ExpectRefused("--memory-limit=-1", "--memory-limit");
  ExpectRefused("--scrub-rate=-1", "--scrub-rate");
  ExpectRefused("--value-cache=1099511627777", "--value-cache");
  ExpectRefused("--segment-bytes=4096", "--segment-bytes");
  ExpectRefused("--segment-bytes=8388609", "--segment-bytes");
}

TEST(DaemonFlagsTest, BoundsTheMembers) {
  std::vector<std::string> peers = {"127.0.0.1:7400"};
  while (peers.size() < kPeersMax + 1) peers.push_back(absl::StrCat("host:", peers.size()));
  EXPECT_OK(Parse({absl::StrCat("--peers=", absl::StrJoin(peers, ","))}));
  peers.push_back("host:9999");
  ExpectRefused(absl::StrCat("--peers=", absl::StrJoin(peers, ",")), "65 members, of at most 64");
}

TEST(DaemonFlagsTest, SuggestsTheFlagThatWasMeant) {
  ExpectRefused("--lisen=a:1", "--lisen: there is no such flag; did you mean --listen?");
  ExpectRefused("--datadir=d", "did you mean --data-dir?");
  ExpectRefused("--frobnicate", "--frobnicate: there is no such flag; --help lists them");
  ExpectRefused("word", "\"word\": there are only flags");
}

TEST(DaemonFlagsTest, RemoteAddressMustBeAskedFor) {
  ASSERT_OK_AND_ASSIGN(DaemonOptions options, Parse({"--listen=0.0.0.0:7400"}));
  EXPECT_THAT(CheckListenReach(options), StatusIs(absl::StatusCode::kFailedPrecondition,
                                                  HasSubstr("--insecure-allow-remote")));
  ASSERT_OK_AND_ASSIGN(options, Parse({"--listen=0.0.0.0:7400", "--insecure-allow-remote"}));
  EXPECT_OK(CheckListenReach(options));
}

TEST(DaemonFlagsTest, HelpShowsAllFlagsAndExamples) {
  ASSERT_OK_AND_ASSIGN(const ParsedFlags help, ParseDaemonFlags({"--help"}));
  ASSERT_TRUE(help.text.has_value());
  for (const char* word :
       {"--listen", "--data-dir", "--peers", "--node-name", "--gossip-interval", "--sync",
        "--compression", "--direct-io", "--memory-limit", "--value-cache", "--log-format",
        "--insecure-allow-remote", "Examples:"}) {
    EXPECT_THAT(*help.text, HasSubstr(word));
  }
  ASSERT_OK_AND_ASSIGN(const ParsedFlags version, ParseDaemonFlags({"--version"}));
  EXPECT_THAT(version.text.value_or(""), HasSubstr("slipstreamd "));
}

}  // namespace
}  // namespace slipstream::node
