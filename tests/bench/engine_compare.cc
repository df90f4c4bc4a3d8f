// engine_compare: Slipstream's engine beside LevelDB, LMDB, TKRZW and the bare device.
//
//   bazel run --config=opt //tests/bench:engine_compare [-- --workloads=a,b --scale=1 --rounds=3
//       --json=FILE --directory=DIR]
//
// Each round runs every workload on every engine, each pair in a process of its own (this program
// again, with --child) and an empty directory; the engines take turns at going first. What is
// printed are the medians of the rounds; ratios are taken within a round. Nothing else should run
// on the machine. docs/benchmarks.md says what is compared how.

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/synchronization/mutex.h"
#include "base/status_macros.h"
#include "tests/bench/bars.h"
#include "tests/bench/child_process.h"
#include "tests/bench/engine_bars.h"
#include "tests/bench/result_row.h"
#include "tests/bench/temporary_directory.h"
#include "tests/bench/user_path.h"
#include "tests/bench/workload/workload.h"

namespace slipstream::bench {
namespace {

// How a child tells its parent that it failed, and why.
constexpr absl::string_view kErrorPrefix = "error: ";
constexpr absl::string_view kReady = "ready";
// Between the rows on a child's one line; not in JSON.
constexpr char kRowSeparator = '\t';

struct Flags {
  WorkloadRun run;
  std::string directory = "/tmp";
  std::string json;
  std::vector<std::string> workloads;  // Empty: all.
  std::vector<std::string> engines;
  size_t rounds = 3;
  // What a parent passes to its children: the workload, and "prepare" or "run".
  std::string child;
  std::string phase;
};

std::string WordsFor(const absl::Status& status) {
  return status.code() == absl::StatusCode::kUnimplemented
             ? absl::StrCat("not possible with this engine: ", status.message())
             : status.ToString();
}

// The child.

void Say(absl::string_view line) {
  absl::PrintF("%s\n", line);
  std::fflush(stdout);
}

int Fail(const absl::Status& status) {
  Say(absl::StrCat(kErrorPrefix, WordsFor(status)));
  return 1;
}

int RunChild(const Workload& workload, const Flags& flags) {
  if (flags.phase == "prepare") {
    const absl::Status status = workload.prepare(flags.run, [] { Say(kReady); });
    return status.ok() ? 0 : Fail(status);
  }
  absl::StatusOr<std::vector<ResultRow>> rows = workload.run(flags.run);
  if (!rows.ok()) return Fail(rows.status());
  std::vector<std::string> lines;
  for (ResultRow& row : *rows) {
    if (row.workload.empty()) row.workload = workload.name;
    row.engine = flags.run.engine;
    lines.push_back(ToJson(row));
  }
  Say(absl::StrJoin(lines, std::string(1, kRowSeparator)));
  return 0;
}

// The parent.

absl::StatusOr<std::unique_ptr<ChildProcess>> StartChild(const Workload& workload,
                                                         const std::string& phase,
                                                         const WorkloadRun& run) {
  SLIP_ASSIGN_OR_RETURN(
      std::unique_ptr<ChildProcess> child,
      ChildProcess::StartUntil(
          "/proc/self/exe",
          {"engine_compare", absl::StrCat("--child=", workload.name),
           absl::StrCat("--phase=", phase), absl::StrCat("--engines=", run.engine),
           absl::StrCat("--directory=", run.directory), absl::StrFormat("--scale=%.17g", run.scale),
           absl::StrCat("--threads=", run.thread_count),
           absl::StrCat("--disk-depth=", run.disk_depth)},
          ""));
  absl::string_view line = child->ready_line();
  if (absl::ConsumePrefix(&line, kErrorPrefix)) return absl::InternalError(line);
  return child;
}

absl::StatusOr<std::vector<ResultRow>> RunPair(const Workload& workload, WorkloadRun run) {
  if (workload.prepare != nullptr) {
    SLIP_ASSIGN_OR_RETURN(const std::unique_ptr<ChildProcess> child,
                          StartChild(workload, "prepare", run));
    if (workload.is_killed) {
      child->Kill();
    } else {
      SLIP_RETURN_IF_ERROR(child->Wait());
    }
  }
  SLIP_ASSIGN_OR_RETURN(const std::unique_ptr<ChildProcess> child,
                        StartChild(workload, "run", run));
  SLIP_RETURN_IF_ERROR(child->Wait());
  std::vector<ResultRow> rows;
  for (const absl::string_view line : absl::StrSplit(child->ready_line(), kRowSeparator)) {
    SLIP_ASSIGN_OR_RETURN(ResultRow row, ResultRowFromJson(line));
    rows.push_back(std::move(row));
  }
  return rows;
}

class Comparison {
 public:
  explicit Comparison(const Flags& flags) : flags_(flags) {}

  void Run(const std::vector<Workload>& workloads) {
    for (size_t round = 0; round < flags_.rounds; ++round) {
      for (const Workload& workload : workloads) {
        if (IsWanted(flags_.workloads, workload.name)) RunWorkload(workload, round);
      }
    }
  }

  const Results& results() const { return results_; }
  bool has_failed() const { return !failed_.empty(); }

 private:
  static bool IsWanted(const std::vector<std::string>& wanted, const std::string& name) {
    return wanted.empty() || std::find(wanted.begin(), wanted.end(), name) != wanted.end();
  }

  void RunWorkload(const Workload& workload, size_t round) {
    const size_t count = workload.engines.size();
    for (size_t i = 0; i < count; ++i) {
      const std::string& engine = workload.engines[(i + round) % count];
      if (IsWanted(flags_.engines, engine)) Run(workload, engine, round);
    }
  }

  void Run(const Workload& workload, const std::string& engine, size_t round) {
    // What failed once would fail the medians.
    if (failed_.contains({workload.name, engine})) return;
    const TemporaryDirectory directory(flags_.directory);
    WorkloadRun run = flags_.run;
    run.engine = engine;
    run.directory = directory.path();
    const absl::StatusOr<std::vector<ResultRow>> rows = RunPair(workload, run);
    if (!rows.ok()) {
      absl::FPrintF(stderr, "engine_compare: %s %s: %s\n", workload.name, engine,
                    rows.status().message());
      failed_.insert({workload.name, engine});
      results_.erase({workload.name, engine});
      return;
    }
    for (const ResultRow& row : *rows) {
      absl::FPrintF(stderr, "round %d: %s\n", round + 1, ToJson(row));
      results_[{row.workload, row.engine}].push_back(row);
    }
  }

  const Flags flags_;
  Results results_;
  std::set<std::pair<std::string, std::string>> failed_;
};

int RunParent(const std::vector<Workload>& workloads, const Flags& flags) {
  Comparison comparison(flags);
  comparison.Run(workloads);
  PrintTable(comparison.results());
  if (flags.run.scale != 1) {
    absl::PrintF("At scale %g the bars, which are for scale 1, say little.\n", flags.run.scale);
  }
  PrintBars(EngineBars(flags.run), comparison.results());
  if (!flags.json.empty() && !WriteJson(comparison.results(), UserPath(flags.json))) {
    absl::FPrintF(stderr, "engine_compare: cannot write %s\n", flags.json);
    return 1;
  }
  return comparison.has_failed() ? 1 : 0;
}

// Refuses names that mean nothing, which would silently run nothing.
bool CheckNames(const std::vector<Workload>& workloads, const Flags& flags) {
  std::set<std::string> known;
  for (const Workload& workload : workloads) {
    known.insert(workload.name);
    known.insert(workload.engines.begin(), workload.engines.end());
  }
  for (const std::vector<std::string>* const names : {&flags.workloads, &flags.engines}) {
    for (const std::string& name : *names) {
      if (known.contains(name)) continue;
      absl::FPrintF(stderr, "engine_compare: no workload or engine \"%s\"; there are %s\n", name,
                    absl::StrJoin(known, ", "));
      return false;
    }
  }
  return true;
}

int Run(int argc, char** argv) {
  Flags flags;
  CLI::App app("Measures Slipstream's engine beside others.");
  app.add_option("--workloads", flags.workloads, "Only these, by commas")->delimiter(',');
  app.add_option("--engines", flags.engines, "Only these, by commas")->delimiter(',');
  app.add_option("--rounds", flags.rounds, "Rounds to take the median of")
      ->check(CLI::Range(1, 99));
  app.add_option("--scale", flags.run.scale, "Factor on all key and operation counts")
      ->check(CLI::PositiveNumber);
  app.add_option("--threads", flags.run.thread_count, "Threads, where the name does not say")
      ->check(CLI::Range(1, 64));
  app.add_option("--disk-depth", flags.run.disk_depth, "Reads under way in get_disk_*")
      ->check(CLI::Range(1, 256));
  app.add_option("--directory", flags.directory, "Where the data directories go: a real disk");
  app.add_option("--json", flags.json, "File for one JSON object a row");
  app.add_option("--child", flags.child)->group("");
  app.add_option("--phase", flags.phase)->group("");
  CLI11_PARSE(app, argc, argv);
  flags.directory = UserPath(flags.directory);
  const std::vector<Workload> workloads = AllWorkloads();
  if (!CheckNames(workloads, flags)) return 2;
  if (flags.child.empty()) return RunParent(workloads, flags);
  const auto workload =
      std::find_if(workloads.begin(), workloads.end(),
                   [&flags](const Workload& candidate) { return candidate.name == flags.child; });
  if (workload == workloads.end() || flags.engines.size() != 1) return 2;
  flags.run.engine = flags.engines[0];
  flags.run.directory = flags.directory;
  return RunChild(*workload, flags);
}

}  // namespace
}  // namespace slipstream::bench

int main(int argc, char** argv) {
  // As slipstreamd does.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  return slipstream::bench::Run(argc, argv);
}
