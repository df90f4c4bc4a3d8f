// Bars: what engine_compare and server_compare are to reach, as ratios of rows of the same round.
#ifndef SLIPSTREAM_TESTS_BENCH_BARS_H_
#define SLIPSTREAM_TESTS_BENCH_BARS_H_

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "tests/bench/result_row.h"

namespace slipstream::bench {

// (workload, engine) -> its rows, one for each round, in order.
using Results = std::map<std::pair<std::string, std::string>, std::vector<ResultRow>>;

struct RowField {
  std::string workload;
  std::string engine;
  absl::optional<double> ResultRow::*field = &ResultRow::ops_per_s;
};

// `numerator` divided by `denominator`, or by `divisor` where there is none.
struct Bar {
  std::string name;
  RowField numerator;
  absl::optional<RowField> denominator;
  double divisor = 1;
  enum class Direction { kAtLeast, kAtMost };
  Direction direction = Direction::kAtLeast;
  double bar = 0;
};

struct Judgement {
  double median = 0;
  double least = 0;
  double greatest = 0;
  bool met = false;  // By the median.
};

// Nothing if a round of either row is missing or has no such field. With a denominator, the ratio
// is taken within each round.
absl::optional<Judgement> Judge(const Bar& bar, const Results& results);

// Prints the medians of all rows, then one line a bar that can be judged, on standard output.
void PrintTable(const Results& results);
void PrintBars(absl::Span<const Bar> bars, const Results& results);

// Writes one JSON line for each row's median. False if `path` cannot be written.
bool WriteJson(const Results& results, const std::string& path);

}  // namespace slipstream::bench

#endif  // SLIPSTREAM_TESTS_BENCH_BARS_H_
