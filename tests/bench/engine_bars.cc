#include "tests/bench/engine_bars.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"
#include "tests/bench/engine/open_engine.h"
#include "tests/bench/result_row.h"

namespace slipstream::bench {
namespace {

Bar Times(const std::string& workload, const std::string& other, double bar) {
  return {.name = absl::StrCat(workload, ": slipstream / ", other),
          .numerator = {.workload = workload, .engine = kSlipstream},
          .denominator = RowField{.workload = workload, .engine = other},
          .bar = bar};
}

// Of two workloads of Slipstream's.
Bar Share(const std::string& workload, const std::string& other, double bar) {
  return {.name = absl::StrCat(workload, " / ", other),
          .numerator = {.workload = workload, .engine = kSlipstream},
          .denominator = RowField{.workload = other, .engine = kSlipstream},
          .bar = bar};
}

Bar AtMost(const std::string& name, const std::string& workload,
           absl::optional<double> ResultRow::*field, double divisor, double bar) {
  return {.name = absl::StrCat(workload, ": ", name),
          .numerator = {.workload = workload, .engine = kSlipstream, .field = field},
          .divisor = divisor,
          .direction = Bar::Direction::kAtMost,
          .bar = bar};
}

}  // namespace

std::vector<Bar> EngineBars(const WorkloadRun& run) {
  constexpr double kMiB = 1 << 20;
  constexpr double kMicrosecondsPerMillisecond = 1000;
  return {
      Times("load_100", kLevelDb, 5),
      Times("load_1k", kLevelDb, 4),
      Times("load_100", kTkrzw, 0.8),
      Times("load_1k", kTkrzw, 0.8),
      Times("get_cached", kLmdb, 1.3),
      Times("get_cached", kTkrzw, 0.8),
      Times("get_disk_hot", kDevice, 0.8),
      Times("get_disk_cold", kDevice, 0.45),
      Times("ycsb_a", kLevelDb, 3),
      Times("ycsb_b", kLevelDb, 3),
      Times("sync_1", kLevelDb, 1.5),
      Times("sync_16", kLevelDb, 2),
      Times("sync_64", kLevelDb, 3),
      AtMost("bytes of memory per hot key", "load_100", &ResultRow::bytes_per_key, 1, 72),
      AtMost("bytes of memory per cold key", "get_disk_cold", &ResultRow::bytes_per_key, 1, 4),
      AtMost("most resident MiB", "memory_limit", &ResultRow::rss_bytes, kMiB, 300),
      AtMost("seconds", "reopen_clean", &ResultRow::seconds, 1, 1),
      AtMost("seconds", "reopen_kill", &ResultRow::seconds, 1, 3),
      AtMost("bytes on disk / live bytes", "overwrite_3", &ResultRow::disk_bytes,
             OverwrittenLiveBytes(run), 1.3),
      AtMost("p99.9 of a put in ms", "compaction", &ResultRow::p999_us, kMicrosecondsPerMillisecond,
             10),
      Share("compaction", "compaction_off", 0.7),
      Share("tree_on", "tree_off", 0.85),
  };
}

}  // namespace slipstream::bench
