// server_compare: what the daemon does through gRPC, against an empty echo on the same machine.
//
//   bazel run --config=opt //tests/bench:server_compare [-- --rounds=3 --scale=1 --json=FILE]
//
// Each round starts the servers anew, on loopback and temporary directories, and runs every
// workload with the same client code; what is printed are the medians of the rounds. Nothing else
// should run on the machine. Client and server share its cores.

#include <stdlib.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/synchronization/mutex.h"
#include "base/check.h"
#include "nlohmann/json.hpp"
#include "tests/bench/child_process.h"
#include "tests/bench/load.h"

namespace slipstream::bench {
namespace {

struct Flags {
  std::string daemon = "node/slipstreamd";
  std::string echo = "tests/bench/echo_server";
  std::string directory = "/tmp";
  std::string json;
  size_t rounds = 3;
  double scale = 1;
};

struct Row {
  std::string workload;
  std::string engine;
  bool operator<(const Row& other) const {
    return workload != other.workload ? workload < other.workload : engine < other.engine;
  }
};

using Results = std::map<Row, std::vector<LoadResult>>;

// A directory that is removed with all it holds.
class TemporaryDirectory {
 public:
  explicit TemporaryDirectory(const std::string& parent) : path_(parent + "/slipstream-XXXXXX") {
    SLIP_CHECK(mkdtemp(path_.data()) != nullptr);
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

LoadResult Must(absl::StatusOr<LoadResult> result, const Row& row) {
  if (!result.ok()) {
    std::fprintf(stderr, "server_compare: %s %s: %s\n", row.workload.c_str(), row.engine.c_str(),
                 result.status().ToString().c_str());
    exit(1);
  }
  return *result;
}

std::unique_ptr<ChildProcess> MustStart(std::vector<std::string> arguments) {
  absl::StatusOr<std::unique_ptr<ChildProcess>> child = ChildProcess::Start(std::move(arguments));
  if (!child.ok()) {
    std::fprintf(stderr, "server_compare: %s\n", child.status().ToString().c_str());
    exit(1);
  }
  return *std::move(child);
}

class Comparison {
 public:
  explicit Comparison(const Flags& flags) : flags_(flags) {}

  Results Run() {
    for (size_t round = 0; round < flags_.rounds; ++round) {
      RunEcho();
      RunDaemon("interval:100");
      RunDaemon("always");
    }
    return std::move(results_);
  }

 private:
  size_t Scaled(size_t count) const {
    return std::max<size_t>(1, static_cast<size_t>(static_cast<double>(count) * flags_.scale));
  }

  void Unary(const std::string& workload, const std::string& engine, LoadOptions options) {
    const Row row{.workload = workload, .engine = engine};
    results_[row].push_back(Must(RunUnaryLoad(options), row));
  }

  void Pipeline(const std::string& workload, const std::string& engine, LoadOptions options) {
    const Row row{.workload = workload, .engine = engine};
    results_[row].push_back(Must(RunPipelineLoad(options), row));
  }

  void RunEcho() {
    const std::unique_ptr<ChildProcess> echo = MustStart({flags_.echo});
    LoadOptions options{.address = echo->address(),
                        .operations = Scaled(60'000),
                        .in_flight = 128,
                        .verifies = false};
    Unary("unary_put", "echo", options);
    options.kind = LoadKind::kGet;
    Unary("unary_get", "echo", options);
  }

  void RunDaemon(const std::string& sync) {
    const TemporaryDirectory directory(flags_.directory);
    const std::unique_ptr<ChildProcess> daemon = MustStart(
        {flags_.daemon, "--listen=127.0.0.1:0",
         absl::StrCat("--data-dir=", directory.path(), "/data"), absl::StrCat("--sync=", sync)});
    const LoadOptions pipeline{.address = daemon->address(),
                               .operations = Scaled(1'000'000),
                               .in_flight = 8,
                               .key_count = Scaled(100'000)};
    LoadOptions unary = pipeline;
    if (sync == "always") {
      unary.operations = Scaled(4'000);
      unary.in_flight = 1;
      Unary("unary_put_always_1", "slipstream", unary);
      unary.operations = Scaled(40'000);
      unary.in_flight = 64;
      Unary("unary_put_always_64", "slipstream", unary);
      Pipeline("pipeline_put_always", "slipstream", pipeline);
      return;
    }
    Pipeline("pipeline_put_interval", "slipstream", pipeline);
    unary.operations = Scaled(60'000);
    unary.in_flight = 128;
    Unary("unary_put", "slipstream", unary);
    unary.kind = LoadKind::kGet;
    Unary("unary_get", "slipstream", unary);
    LoadOptions gets = pipeline;
    gets.kind = LoadKind::kGet;
    Pipeline("pipeline_get", "slipstream", gets);
  }

  const Flags flags_;
  Results results_;
};

// Returns the round with the median rate.
LoadResult Median(std::vector<LoadResult> rounds) {
  std::sort(rounds.begin(), rounds.end(), [](const LoadResult& a, const LoadResult& b) {
    return a.operations_per_second < b.operations_per_second;
  });
  return rounds[rounds.size() / 2];
}

void Print(const Results& results) {
  std::printf("%-22s %-10s %12s %10s %10s %10s\n", "workload", "engine", "ops/s", "p50 us",
              "p99 us", "p99.9 us");
  for (const auto& [row, rounds] : results) {
    const LoadResult result = Median(rounds);
    std::printf("%-22s %-10s %12.0f %10.0f %10.0f %10.0f\n", row.workload.c_str(),
                row.engine.c_str(), result.operations_per_second, result.p50_us, result.p99_us,
                result.p999_us);
  }
}

// Prints the median, over the rounds, of the ratio of two rows in the same round.
void PrintRatio(const Results& results, const char* name, const Row& numerator,
                const Row& denominator) {
  const std::vector<LoadResult>& a = results.at(numerator);
  const std::vector<LoadResult>& b = results.at(denominator);
  std::vector<double> ratios;
  for (size_t round = 0; round < a.size(); ++round) {
    ratios.push_back(a[round].operations_per_second / b[round].operations_per_second);
  }
  std::sort(ratios.begin(), ratios.end());
  std::printf("%-52s %6.2f  (%.2f to %.2f)\n", name, ratios[ratios.size() / 2], ratios.front(),
              ratios.back());
}

void PrintRatios(const Results& results) {
  PrintRatio(results, "unary puts / empty echo", {"unary_put", "slipstream"},
             {"unary_put", "echo"});
  PrintRatio(results, "unary gets / empty echo", {"unary_get", "slipstream"},
             {"unary_get", "echo"});
  PrintRatio(results, "pipelined puts / unary puts", {"pipeline_put_interval", "slipstream"},
             {"unary_put", "slipstream"});
  PrintRatio(results, "pipelined gets / unary gets", {"pipeline_get", "slipstream"},
             {"unary_get", "slipstream"});
  PrintRatio(results, "synced puts, 64 in flight / 1", {"unary_put_always_64", "slipstream"},
             {"unary_put_always_1", "slipstream"});
}

bool WriteJson(const Results& results, const std::string& path) {
  std::ofstream file(path);
  for (const auto& [row, rounds] : results) {
    const LoadResult result = Median(rounds);
    file << nlohmann::ordered_json{{"workload", row.workload},
                                   {"engine", row.engine},
                                   {"ops_per_s", result.operations_per_second},
                                   {"p50_us", result.p50_us},
                                   {"p99_us", result.p99_us},
                                   {"p999_us", result.p999_us}}
                .dump()
         << '\n';
  }
  return file.good();
}

int Run(int argc, char** argv) {
  Flags flags;
  CLI::App app("Measures slipstreamd against an empty gRPC echo.");
  app.add_option("--rounds", flags.rounds, "Rounds to take the median of")
      ->check(CLI::Range(1, 99));
  app.add_option("--scale", flags.scale, "Factor on all operation counts");
  app.add_option("--directory", flags.directory, "Where the data directories go");
  app.add_option("--json", flags.json, "File for one JSON object a row");
  app.add_option("--daemon", flags.daemon, "The slipstreamd to measure");
  app.add_option("--echo", flags.echo, "The echo server");
  CLI11_PARSE(app, argc, argv);
  const Results results = Comparison(flags).Run();
  Print(results);
  PrintRatios(results);
  if (!flags.json.empty() && !WriteJson(results, flags.json)) {
    std::fprintf(stderr, "server_compare: cannot write %s\n", flags.json.c_str());
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace slipstream::bench

int main(int argc, char** argv) {
  // As slipstreamd does.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  return slipstream::bench::Run(argc, argv);
}
