// ResultRow: what one run of one workload on one engine gave; a line of the JSON file.
#ifndef SLIPSTREAM_TESTS_BENCH_RESULT_ROW_H_
#define SLIPSTREAM_TESTS_BENCH_RESULT_ROW_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"

namespace slipstream::bench {

// What does not apply is empty, and null in JSON.
struct ResultRow {
  std::string workload;
  std::string engine;
  absl::optional<double> ops_per_s;
  absl::optional<double> p50_us;
  absl::optional<double> p99_us;
  absl::optional<double> p999_us;
  absl::optional<double> rss_bytes;
  absl::optional<double> disk_bytes;
  absl::optional<double> bytes_per_key;  // Memory.
  absl::optional<double> seconds;
  friend bool operator==(const ResultRow&, const ResultRow&) = default;
};

// The numbers of a row, in the order of the JSON line.
struct ResultField {
  const char* name;
  absl::optional<double> ResultRow::*member;
  bool is_whole;  // Written without a fraction.
};
absl::Span<const ResultField> ResultFields();

// One line, without its end.
std::string ToJson(const ResultRow& row);
// INVALID_ARGUMENT unless `line` is what ToJson returned.
absl::StatusOr<ResultRow> ResultRowFromJson(absl::string_view line);

// Each field's median over `rounds`, which are of one workload and engine and not empty; of an even
// count the upper one. A field that is empty in one round is empty.
ResultRow MedianOf(absl::Span<const ResultRow> rounds);

}  // namespace slipstream::bench

#endif  // SLIPSTREAM_TESTS_BENCH_RESULT_ROW_H_
