// server_compare: what the daemon does through gRPC, against an empty echo and Redis on the same
// machine.
//
//   bazel run --config=opt //tests/bench:server_compare [-- --rounds=3 --scale=1 --json=FILE]
//
// Each round starts the servers anew, on loopback and temporary directories, and runs every
// workload with the same client code; what is printed are the medians of the rounds. Nothing else
// should run on the machine. Client and server share its cores.

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "base/status_macros.h"
#include "tests/bench/bars.h"
#include "tests/bench/child_process.h"
#include "tests/bench/load.h"
#include "tests/bench/redis_server.h"
#include "tests/bench/result_row.h"
#include "tests/bench/temporary_directory.h"
#include "tests/bench/user_path.h"

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

class Comparison {
 public:
  explicit Comparison(const Flags& flags) : flags_(flags) {}

  absl::StatusOr<Results> Run() {
    for (size_t round = 0; round < flags_.rounds; ++round) {
      SLIP_RETURN_IF_ERROR(RunEcho());
      SLIP_RETURN_IF_ERROR(RunDaemonUnary());
      SLIP_RETURN_IF_ERROR(RunDaemonPipeline());
      SLIP_RETURN_IF_ERROR(RunDaemonWithSync());
      SLIP_RETURN_IF_ERROR(RunRedisWithInterval());
      SLIP_RETURN_IF_ERROR(RunRedisWithSync());
    }
    return std::move(results_);
  }

 private:
  size_t Scaled(size_t count) const {
    return std::max<size_t>(1, static_cast<size_t>(static_cast<double>(count) * flags_.scale));
  }

  using Load = absl::StatusOr<LoadResult> (*)(const LoadOptions&);

  absl::Status Measure(Load load, const std::string& workload, const std::string& engine,
                       const LoadOptions& options) {
    const absl::StatusOr<LoadResult> result = load(options);
    if (!result.ok()) {
      return absl::Status(result.status().code(),
                          absl::StrCat(workload, " ", engine, ": ", result.status().message()));
    }
    results_[{workload, engine}].push_back({.workload = workload,
                                            .engine = engine,
                                            .ops_per_s = result->operations_per_second,
                                            .p50_us = result->p50_us,
                                            .p99_us = result->p99_us,
                                            .p999_us = result->p999_us,
                                            .seconds = result->seconds});
    return absl::OkStatus();
  }

  absl::Status Unary(const std::string& workload, const std::string& engine, LoadOptions options,
                     LoadKind kind) {
    options.kind = kind;
    return Measure(RunUnaryLoad, workload, engine, options);
  }

  absl::Status Pipeline(const std::string& workload, LoadOptions options, LoadKind kind) {
    options.kind = kind;
    return Measure(RunPipelineLoad, workload, "slipstream", options);
  }

  absl::Status Redis(const std::string& workload, LoadOptions options, LoadKind kind) {
    options.kind = kind;
    return Measure(RunRedisLoad, workload, "redis", options);
  }

  absl::Status RunEcho() {
    SLIP_ASSIGN_OR_RETURN(const std::unique_ptr<ChildProcess> echo,
                          ChildProcess::Start({flags_.echo}));
    const LoadOptions options{.address = echo->address(),
                              .operations = Scaled(60'000),
                              .in_flight = 128,
                              .verifies = false};
    SLIP_RETURN_IF_ERROR(Unary("unary_put", "echo", options, LoadKind::kPut));
    return Unary("unary_get", "echo", options, LoadKind::kGet);
  }

  absl::StatusOr<std::unique_ptr<ChildProcess>> StartDaemon(const TemporaryDirectory& directory,
                                                            const std::string& sync) {
    return ChildProcess::Start({flags_.daemon, "--listen=127.0.0.1:0",
                                absl::StrCat("--data-dir=", directory.path(), "/data"),
                                absl::StrCat("--sync=", sync)});
  }

  LoadOptions PipelineOptions(const std::string& address) const {
    return {.address = address,
            .operations = Scaled(1'000'000),
            .in_flight = 8,
            .key_count = Scaled(100'000)};
  }

  // A daemon of its own for the unary calls: what the pipeline leaves for the background is not
  // theirs.
  absl::Status RunDaemonUnary() {
    const TemporaryDirectory directory(flags_.directory);
    SLIP_ASSIGN_OR_RETURN(const std::unique_ptr<ChildProcess> daemon,
                          StartDaemon(directory, "interval:100"));
    LoadOptions fill = PipelineOptions(daemon->address());
    fill.kind = LoadKind::kPut;
    fill.operations = fill.key_count;
    SLIP_RETURN_IF_ERROR(RunPipelineLoad(fill).status());
    LoadOptions unary = fill;
    unary.operations = Scaled(60'000);
    unary.in_flight = 128;
    SLIP_RETURN_IF_ERROR(Unary("unary_put", "slipstream", unary, LoadKind::kPut));
    return Unary("unary_get", "slipstream", unary, LoadKind::kGet);
  }

  // A sync each second, as Redis's "everysec".
  absl::Status RunDaemonPipeline() {
    const TemporaryDirectory directory(flags_.directory);
    SLIP_ASSIGN_OR_RETURN(const std::unique_ptr<ChildProcess> daemon,
                          StartDaemon(directory, "interval:1000"));
    const LoadOptions pipeline = PipelineOptions(daemon->address());
    SLIP_RETURN_IF_ERROR(Pipeline("pipeline_put_interval", pipeline, LoadKind::kPut));
    return Pipeline("pipeline_get", pipeline, LoadKind::kGet);
  }

  absl::Status RunDaemonWithSync() {
    const TemporaryDirectory directory(flags_.directory);
    SLIP_ASSIGN_OR_RETURN(const std::unique_ptr<ChildProcess> daemon,
                          StartDaemon(directory, "always"));
    const LoadOptions pipeline = PipelineOptions(daemon->address());
    LoadOptions unary = pipeline;
    unary.operations = Scaled(4'000);
    unary.in_flight = 1;
    SLIP_RETURN_IF_ERROR(Unary("unary_put_always_1", "slipstream", unary, LoadKind::kPut));
    unary.operations = Scaled(40'000);
    unary.in_flight = 64;
    SLIP_RETURN_IF_ERROR(Unary("unary_put_always_64", "slipstream", unary, LoadKind::kPut));
    return Pipeline("pipeline_put_always", pipeline, LoadKind::kPut);
  }

  // As Redis's own benchmark program by default, 50 connections; each with 32 commands under way,
  // that is three times as many as the groups of our stream hold.
  LoadOptions RedisOptions(const RedisServer& redis) const {
    LoadOptions options = PipelineOptions(redis.address);
    options.in_flight = 50;
    options.group_size = 32;
    return options;
  }

  absl::Status RunRedisWithInterval() {
    const TemporaryDirectory directory(flags_.directory);
    SLIP_ASSIGN_OR_RETURN(const RedisServer redis, StartRedis(directory.path(), "everysec"));
    const LoadOptions pipelined = RedisOptions(redis);
    LoadOptions unary = pipelined;
    unary.operations = Scaled(200'000);
    unary.in_flight = 128;
    unary.group_size = 1;
    SLIP_RETURN_IF_ERROR(Redis("pipeline_put_interval", pipelined, LoadKind::kPut));
    SLIP_RETURN_IF_ERROR(Redis("unary_put", unary, LoadKind::kPut));
    SLIP_RETURN_IF_ERROR(Redis("unary_get", unary, LoadKind::kGet));
    return Redis("pipeline_get", pipelined, LoadKind::kGet);
  }

  absl::Status RunRedisWithSync() {
    const TemporaryDirectory directory(flags_.directory);
    SLIP_ASSIGN_OR_RETURN(const RedisServer redis, StartRedis(directory.path(), "always"));
    return Redis("pipeline_put_always", RedisOptions(redis), LoadKind::kPut);
  }

  const Flags flags_;
  Results results_;
};

Bar Ratio(const std::string& name, const RowField& numerator, const RowField& denominator,
          double bar) {
  return {.name = name, .numerator = numerator, .denominator = denominator, .bar = bar};
}

std::vector<Bar> ServerBars() {
  const RowField unary_put = {.workload = "unary_put", .engine = "slipstream"};
  const RowField unary_get = {.workload = "unary_get", .engine = "slipstream"};
  std::vector<Bar> bars = {
      Ratio("unary puts / empty echo", unary_put, {.workload = "unary_put", .engine = "echo"}, 0.9),
      Ratio("unary gets / empty echo", unary_get, {.workload = "unary_get", .engine = "echo"}, 0.8),
      Ratio("pipelined puts / unary puts",
            {.workload = "pipeline_put_interval", .engine = "slipstream"}, unary_put, 10),
      Ratio("pipelined gets / unary gets", {.workload = "pipeline_get", .engine = "slipstream"},
            unary_get, 10),
      Ratio("synced puts, 64 in flight / 1",
            {.workload = "unary_put_always_64", .engine = "slipstream"},
            {.workload = "unary_put_always_1", .engine = "slipstream"}, 10)};
  for (const char* const workload :
       {"pipeline_put_interval", "pipeline_put_always", "pipeline_get"}) {
    bars.push_back(Ratio(absl::StrCat(workload, ": slipstream / redis pipelined by 32"),
                         {.workload = workload, .engine = "slipstream"},
                         {.workload = workload, .engine = "redis"}, 1.5));
  }
  return bars;
}

int Run(int argc, char** argv) {
  Flags flags;
  CLI::App app("Measures slipstreamd against an empty gRPC echo and Redis.");
  app.add_option("--rounds", flags.rounds, "Rounds to take the median of")
      ->check(CLI::Range(1, 99));
  app.add_option("--scale", flags.scale, "Factor on all operation counts");
  app.add_option("--directory", flags.directory, "Where the data directories go");
  app.add_option("--json", flags.json, "File for one JSON object a row");
  app.add_option("--daemon", flags.daemon, "The slipstreamd to measure");
  app.add_option("--echo", flags.echo, "The echo server");
  CLI11_PARSE(app, argc, argv);
  flags.directory = UserPath(flags.directory);
  const absl::StatusOr<Results> results = Comparison(flags).Run();
  if (!results.ok()) {
    std::fprintf(stderr, "server_compare: %s\n", results.status().ToString().c_str());
    return 1;
  }
  PrintTable(*results);
  PrintBars(ServerBars(), *results);
  if (!flags.json.empty() && !WriteJson(*results, UserPath(flags.json))) {
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
