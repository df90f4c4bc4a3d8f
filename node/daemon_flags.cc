#include "node/daemon_flags.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "base/program_version.h"
#include "base/status_macros.h"
#include "node/endpoint.h"
#include "node/maintenance.h"
#include "node/wire.h"
#include "storage/options.h"

namespace slipstream::node {
namespace {

// The limit's share of the machine, and the cache's of the limit: one in so many.
constexpr uint64_t kMemoryDivisor = 4;
// More than any device reads; CLI11 takes -1 for the greatest number.
constexpr uint64_t kScrubRateMax = uint64_t{1} << 40;
// With less there is no room for what does not grow with the keys.
constexpr uint64_t kMemoryLimitBytesMin = 64 << 20;
// More than any machine has; -1 again.
constexpr uint64_t kMemoryLimitBytesMax = uint64_t{1} << 44;
constexpr absl::string_view kExamples = R"(
Examples:
  slipstreamd
      A single node on 127.0.0.1:7400 with its data in ./slipstream-data.
  slipstreamd --listen=127.0.0.1:7401 --data-dir=a \
              --peers=127.0.0.1:7401,127.0.0.1:7402,127.0.0.1:7403
      One of three nodes. --peers is the same line on all of them.

It prints one line when it is ready, and leaves on SIGTERM when all that was written is on disk.)";

// What the flags hold before it is understood.
struct RawFlags {
  std::string listen = "127.0.0.1:7400";
  std::string data_directory = "./slipstream-data";
  std::string peers;
  std::string node_name;
  std::string gossip_interval = "1s";
  std::string sync = "always";
  std::string direct_io = "auto";
  std::string io_uring = "auto";
  std::string compression = "auto";
  std::string log_format = "text";
  uint64_t value_bytes_max = storage::Limits{}.value_bytes_max;
  uint64_t segment_bytes = storage::Options{}.segment_bytes;
  absl::optional<uint64_t> memory_limit_bytes;  // A share of the machine's if not given.
  absl::optional<uint64_t> value_cache_bytes;   // A share of the limit.
  uint64_t scrub_rate = MaintenanceOptions{}.scrub_bytes_per_second;
  bool insecure_allow_remote = false;
  bool accept_data_loss = false;
};

void AddFlags(CLI::App& app, RawFlags& raw) {
  app.set_help_flag("--help", "Show this text.");
  app.set_version_flag("--version", absl::StrCat("slipstreamd ", base::kProgramVersion),
                       "Show the version.");
  app.add_option("--listen", raw.listen,
                 "Where to listen; port 0: a free one.\nDefault: 127.0.0.1:7400")
      ->type_name("HOST:PORT");
  app.add_option("--data-dir", raw.data_directory,
                 "Where the data is; created if missing.\nDefault: ./slipstream-data")
      ->type_name("DIR");
  app.add_option("--peers", raw.peers, "All members; this node may be among them.\nDefault: none")
      ->type_name("HOST:PORT,...");
  app.add_option("--node-name", raw.node_name,
                 "Name of this node, for people.\nDefault: the host's name and the port")
      ->type_name("NAME");
  app.add_option("--gossip-interval", raw.gossip_interval,
                 "How often to compare roots with the peers: 10ms to 1h.\nDefault: 1s")
      ->type_name("DURATION");
  app.add_option("--sync", raw.sync,
                 "When an acknowledged write is on disk: always (before it is acknowledged),\n"
                 "interval:MS (at most so much later), none (when the system sees fit).\n"
                 "Default: always")
      ->type_name("POLICY");
  app.add_option("--direct-io", raw.direct_io,
                 "Whether the log passes the page cache by: auto (where the file system can),\n"
                 "off.\nDefault: auto")
      ->type_name("MODE");
  app.add_option("--io-uring", raw.io_uring,
                 "Whether several reads go to the disk at once: auto (where the kernel allows\n"
                 "it), off.\nDefault: auto")
      ->type_name("MODE");
  app.add_option("--value-bytes-max", raw.value_bytes_max,
                 "Longest value that a client may put, up to 8388608.\nDefault: 1048576")
      ->type_name("BYTES");
  app.add_option("--segment-bytes", raw.segment_bytes,
                 "Length of a segment of the log, a multiple of 4096.\nDefault: 67108864")
      ->type_name("BYTES");
  app.add_option("--memory-limit", raw.memory_limit_bytes,
                 "Memory for all that is kept of the data, like 2GiB: from 64MiB on, or 0 for no\n"
                 "limit. Beyond it, keys that were not used lately are looked up on disk.\n"
                 "Default: a quarter of the machine's")
      ->type_name("SIZE")
      ->transform(CLI::AsSizeValue(/*kb_is_1000=*/false));
  app.add_option("--value-cache", raw.value_cache_bytes,
                 "The part of it for values, so that reading them again needs no disk; 0: none.\n"
                 "Default: a quarter of the limit; without one, 64MiB")
      ->type_name("SIZE")
      ->transform(CLI::AsSizeValue(/*kb_is_1000=*/false));
  app.add_option(
         "--compression", raw.compression,
         "How values are stored where that gains an eighth or more: auto (LZ4 or zstd, for\n"
         "each value by what it gains), lz4, zstd; or none. Of new values only.\n"
         "Default: auto")
      ->type_name("POLICY");
  app.add_option("--scrub-rate", raw.scrub_rate,
                 "Bytes per second, like 8MiB, that the search for damage reads while there is no\n"
                 "other background work; 0: it is off.\nDefault: 8MiB")
      ->type_name("SIZE")
      ->transform(CLI::AsSizeValue(/*kb_is_1000=*/false));
  app.add_option("--log-format", raw.log_format, "text or json, on stderr.\nDefault: text")
      ->type_name("FORMAT");
  app.add_flag("--insecure-allow-remote", raw.insecure_allow_remote,
               "Listen where other machines can reach it, without encryption or passwords.");
  app.add_flag("--accept-data-loss", raw.accept_data_loss,
               "Start although the log is damaged, without what cannot be read.");
}

absl::Status Invalid(absl::string_view flag, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(flag, ": ", what));
}

// Returns how many letters must be added, dropped or replaced to make `a` from `b`.
size_t EditDistance(absl::string_view a, absl::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j < row.size(); ++j) row[j] = j;
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i + 1);
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

absl::Status UnknownArgument(const CLI::App& app, const std::string& argument) {
  if (!absl::StartsWith(argument, "-")) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", argument, "\": there are only flags; --help lists them"));
  }
  const std::string word = argument.substr(0, argument.find('='));
  std::string nearest;
  size_t nearest_distance = word.size() / 3 + 2;
  for (const CLI::Option* option : app.get_options()) {
    const std::string name = absl::StrCat("--", option->get_lnames().front());
    const size_t distance = EditDistance(word, name);
    if (distance < nearest_distance) {
      nearest = name;
      nearest_distance = distance;
    }
  }
  return absl::InvalidArgumentError(
      nearest.empty() ? absl::StrCat(word, ": there is no such flag; --help lists them")
                      : absl::StrCat(word, ": there is no such flag; did you mean ", nearest, "?"));
}

absl::StatusOr<std::vector<std::string>> ParsePeers(const std::string& text, const Endpoint& self) {
  std::vector<std::string> peers;
  if (text.empty()) return peers;
  const std::vector<std::string> words = absl::StrSplit(text, ',');
  if (words.size() > kPeersMax + 1) {
    return Invalid("--peers", absl::StrCat(words.size(), " members, of at most ", kPeersMax + 1));
  }
  for (size_t index = 0; index < words.size(); ++index) {
    const absl::StatusOr<Endpoint> peer = ParseEndpoint(absl::StripAsciiWhitespace(words[index]));
    if (!peer.ok()) {
      return Invalid("--peers", absl::StrCat("peer ", index + 1, ", ", peer.status().message()));
    }
    if (peer->port == 0) {
      return Invalid("--peers", absl::StrCat("peer ", index + 1, ", \"", words[index],
                                             "\": port 0 is nobody's"));
    }
    if (*peer == self) continue;
    const std::string name = ToString(*peer);
    if (std::find(peers.begin(), peers.end(), name) != peers.end()) {
      return Invalid("--peers", absl::StrCat("\"", name, "\" is listed twice"));
    }
    peers.push_back(name);
  }
  return peers;
}

absl::Status ParseSync(const std::string& text, ServerOptions& options) {
  if (text == "always") {
    options.replica.storage.sync = storage::SyncPolicy::kAlways;
    return absl::OkStatus();
  }
  if (text == "none") {
    options.replica.storage.sync = storage::SyncPolicy::kNone;
    return absl::OkStatus();
  }
  absl::string_view digits = text;
  uint32_t milliseconds = 0;
  if (!absl::ConsumePrefix(&digits, "interval:") || !absl::SimpleAtoi(digits, &milliseconds) ||
      milliseconds == 0 || absl::Milliseconds(milliseconds) > kSyncIntervalMax) {
    return Invalid("--sync", absl::StrCat("\"", text,
                                          "\" must be always, interval:MS with 1 to 60000 "
                                          "milliseconds, or none"));
  }
  options.replica.storage.sync = storage::SyncPolicy::kInterval;
  options.sync_interval = absl::Milliseconds(milliseconds);
  return absl::OkStatus();
}

absl::Status ParseCompression(const std::string& text, storage::Options& options) {
  if (text == "auto") {
    options.compression = storage::Compression::kAuto;
  } else if (text == "none") {
    options.compression = storage::Compression::kNone;
  } else if (text == "lz4") {
    options.compression = storage::Compression::kLz4;
  } else if (text == "zstd") {
    options.compression = storage::Compression::kZstd;
  } else {
    return Invalid("--compression", absl::StrCat("\"", text, "\" must be auto, none, lz4 or zstd"));
  }
  return absl::OkStatus();
}

absl::Status ParseGossipInterval(const std::string& text, ServerOptions& options) {
  absl::Duration& interval = options.replica.gossip_interval;
  if (absl::ParseDuration(text, &interval) && interval >= kGossipIntervalMin &&
      interval <= kGossipIntervalMax) {
    return absl::OkStatus();
  }
  return Invalid("--gossip-interval",
                 absl::StrCat("\"", text, "\" must be 10ms to 1h, like 200ms or 1s"));
}

absl::StatusOr<std::string> NodeName(const std::string& text, const Endpoint& listen) {
  if (text.empty()) {
    char host[HOST_NAME_MAX + 1] = {};
    if (gethostname(host, sizeof(host) - 1) != 0 || host[0] == '\0') host[0] = '?';
    // A port that is yet to be chosen makes no name.
    return listen.port == 0 ? absl::StrCat(host, "-pid", getpid())
                            : absl::StrCat(host, "-", listen.port);
  }
  const bool printable = std::all_of(text.begin(), text.end(), absl::ascii_isgraph);
  if (text.size() > kNodeNameBytesMax || !printable) {
    return Invalid("--node-name", absl::StrCat("\"", text, "\" must be 1 to ", kNodeNameBytesMax,
                                               " printable ASCII characters without blanks"));
  }
  return text;
}

// The machine's memory; 0 if it does not say.
uint64_t MachineBytes() {
  const long page_count = sysconf(_SC_PHYS_PAGES);  // NOLINT(google-runtime-int): POSIX's type.
  const long page_bytes = sysconf(_SC_PAGESIZE);    // NOLINT(google-runtime-int)
  if (page_count <= 0 || page_bytes <= 0) return 0;
  return static_cast<uint64_t>(page_count) * static_cast<uint64_t>(page_bytes);
}

absl::Status SetMemory(const RawFlags& raw, storage::Options& options) {
  const uint64_t limit_bytes = raw.memory_limit_bytes.value_or(MachineBytes() / kMemoryDivisor);
  if (limit_bytes != 0 && limit_bytes < kMemoryLimitBytesMin) {
    return Invalid("--memory-limit", absl::StrCat(limit_bytes, " must be 0 or at least ",
                                                  kMemoryLimitBytesMin, " bytes"));
  }
  if (limit_bytes > kMemoryLimitBytesMax) {
    return Invalid("--memory-limit",
                   absl::StrCat(limit_bytes, " must be at most ", kMemoryLimitBytesMax, " bytes"));
  }
  options.memory_limit_bytes = limit_bytes;
  options.value_cache_bytes = raw.value_cache_bytes.value_or(
      limit_bytes == 0 ? options.value_cache_bytes : limit_bytes / kMemoryDivisor);
  if (options.value_cache_bytes > storage::kValueCacheBytesCeiling) {
    return Invalid("--value-cache", absl::StrCat(options.value_cache_bytes, " must be 0 to ",
                                                 storage::kValueCacheBytesCeiling));
  }
  if (limit_bytes != 0 && options.value_cache_bytes > limit_bytes / 2) {
    return Invalid("--value-cache",
                   absl::StrCat(options.value_cache_bytes, " must be at most half of the ",
                                limit_bytes, " bytes of --memory-limit"));
  }
  return absl::OkStatus();
}

absl::Status SetStorage(const RawFlags& raw, storage::Options& options) {
  if (raw.value_bytes_max == 0 || raw.value_bytes_max > storage::kValueBytesCeiling) {
    return Invalid("--value-bytes-max", absl::StrCat(raw.value_bytes_max, " must be 1 to ",
                                                     storage::kValueBytesCeiling));
  }
  storage::Limits& limits = options.limits;
  limits.value_bytes_max = static_cast<uint32_t>(raw.value_bytes_max);
  // One put is a batch too.
  limits.batch_bytes_max =
      std::max(limits.batch_bytes_max, limits.value_bytes_max + limits.key_bytes_max);
  SLIP_RETURN_IF_ERROR(SetMemory(raw, options));
  options.segment_bytes = raw.segment_bytes;
  if (const absl::Status status = storage::ValidateOptions(options); !status.ok()) {
    return Invalid("--segment-bytes", status.message());
  }
  return absl::OkStatus();
}

absl::StatusOr<DaemonOptions> Interpret(const RawFlags& raw) {
  DaemonOptions options;
  ServerOptions& server = options.server;
  absl::StatusOr<Endpoint> listen = ParseEndpoint(raw.listen);
  if (!listen.ok()) return Invalid("--listen", listen.status().message());
  server.listen = *std::move(listen);
  if (raw.data_directory.empty()) return Invalid("--data-dir", "must not be empty");
  server.data_directory = raw.data_directory;
  SLIP_ASSIGN_OR_RETURN(server.replica.peers, ParsePeers(raw.peers, server.listen));
  SLIP_ASSIGN_OR_RETURN(server.replica.name, NodeName(raw.node_name, server.listen));
  SLIP_RETURN_IF_ERROR(ParseGossipInterval(raw.gossip_interval, server));
  SLIP_RETURN_IF_ERROR(ParseSync(raw.sync, server));
  SLIP_RETURN_IF_ERROR(ParseCompression(raw.compression, server.replica.storage));
  SLIP_RETURN_IF_ERROR(SetStorage(raw, server.replica.storage));
  if (raw.scrub_rate > kScrubRateMax) {
    return Invalid("--scrub-rate", absl::StrCat(raw.scrub_rate, " must be 0 to ", kScrubRateMax));
  }
  server.maintenance.scrub_bytes_per_second = raw.scrub_rate;
  if (raw.direct_io != "auto" && raw.direct_io != "off") {
    return Invalid("--direct-io", absl::StrCat("\"", raw.direct_io, "\" must be auto or off"));
  }
  options.direct_io =
      raw.direct_io == "off" ? storage::DirectIo::kNever : storage::DirectIo::kWherePossible;
  if (raw.io_uring != "auto" && raw.io_uring != "off") {
    return Invalid("--io-uring", absl::StrCat("\"", raw.io_uring, "\" must be auto or off"));
  }
  options.io_uring =
      raw.io_uring == "off" ? storage::UseIoUring::kNever : storage::UseIoUring::kWherePossible;
  if (raw.log_format != "text" && raw.log_format != "json") {
    return Invalid("--log-format", absl::StrCat("\"", raw.log_format, "\" must be text or json"));
  }
  options.log_format = raw.log_format == "json" ? LogFormat::kJson : LogFormat::kText;
  options.insecure_allow_remote = raw.insecure_allow_remote;
  // Peers heal what cannot be read; a node alone must be told that losing it is accepted.
  server.replica.storage.on_damage = raw.accept_data_loss || !server.replica.peers.empty()
                                         ? storage::OnDamage::kServeRest
                                         : storage::OnDamage::kRefuse;
  return options;
}

}  // namespace

absl::StatusOr<ParsedFlags> ParseDaemonFlags(const std::vector<std::string>& arguments) {
  RawFlags raw;
  CLI::App app("slipstreamd is one node of a Slipstream cluster.", "slipstreamd");
  app.allow_extras();
  app.footer(std::string(kExamples));
  AddFlags(app, raw);
  // CLI11 takes the words from the back, and speaks by exceptions.
  std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
  try {
    app.parse(std::move(reversed));
  } catch (const CLI::CallForHelp&) {
    return ParsedFlags{.text = app.help(), .options = {}};
  } catch (const CLI::CallForVersion& version) {
    return ParsedFlags{.text = absl::StrCat(version.what(), "\n"), .options = {}};
  } catch (const CLI::ParseError& error) {
    return absl::InvalidArgumentError(error.what());
  }
  if (const std::vector<std::string> unknown = app.remaining(); !unknown.empty()) {
    return UnknownArgument(app, unknown.front());
  }
  SLIP_ASSIGN_OR_RETURN(DaemonOptions options, Interpret(raw));
  return ParsedFlags{.text = absl::nullopt, .options = std::move(options)};
}

absl::Status CheckListenReach(const DaemonOptions& options) {
  const absl::StatusOr<Reach> reach = ReachOf(options.server.listen.host);
  if (!reach.ok()) {
    return absl::NotFoundError(absl::StrCat("--listen: ", reach.status().message()));
  }
  if (*reach == Reach::kLoopback || options.insecure_allow_remote) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("--listen: other machines can reach ", ToString(options.server.listen),
                   ", and nothing is encrypted or asks for a password; listen on 127.0.0.1, or say "
                   "--insecure-allow-remote"));
}

}  // namespace slipstream::node
