#include "tests/bench/bars.h"

#include <algorithm>
#include <cstddef>
#include <fstream>

#include "absl/strings/str_format.h"

namespace slipstream::bench {
namespace {

const std::vector<ResultRow>* RowsOf(const Results& results, const RowField& row) {
  const auto found = results.find({row.workload, row.engine});
  return found == results.end() || found->second.empty() ? nullptr : &found->second;
}

// A number as wide as its column; a dash for none.
std::string Cell(const absl::optional<double>& value, double unit, int decimals) {
  return value.has_value() ? absl::StrFormat("%.*f", decimals, *value / unit) : "-";
}

const char* WordsFor(Bar::Direction direction) {
  return direction == Bar::Direction::kAtLeast ? "at least" : "at most";
}

}  // namespace

absl::optional<Judgement> Judge(const Bar& bar, const Results& results) {
  const std::vector<ResultRow>* const rows = RowsOf(results, bar.numerator);
  if (rows == nullptr) return absl::nullopt;
  const std::vector<ResultRow>* const others =
      bar.denominator.has_value() ? RowsOf(results, *bar.denominator) : nullptr;
  if (bar.denominator.has_value() && (others == nullptr || others->size() != rows->size())) {
    return absl::nullopt;
  }
  std::vector<double> ratios;
  for (size_t round = 0; round < rows->size(); ++round) {
    const absl::optional<double> value = (*rows)[round].*bar.numerator.field;
    const absl::optional<double> divisor = others == nullptr
                                               ? absl::optional<double>(bar.divisor)
                                               : (*others)[round].*bar.denominator->field;
    if (!value.has_value() || !divisor.has_value() || *divisor == 0) return absl::nullopt;
    ratios.push_back(*value / *divisor);
  }
  std::sort(ratios.begin(), ratios.end());
  const double median = ratios[ratios.size() / 2];
  return Judgement{
      .median = median,
      .least = ratios.front(),
      .greatest = ratios.back(),
      .met = bar.direction == Bar::Direction::kAtMost ? median <= bar.bar : median >= bar.bar};
}

void PrintTable(const Results& results) {
  absl::PrintF("%-22s %-11s %10s %9s %9s %9s %8s %8s %7s %8s\n", "workload", "engine", "ops/s",
               "p50 us", "p99 us", "p99.9 us", "RSS MiB", "disk MiB", "B/key", "seconds");
  constexpr double kMiB = 1 << 20;
  for (const auto& [name, rounds] : results) {
    const ResultRow row = MedianOf(rounds);
    absl::PrintF("%-22s %-11s %10s %9s %9s %9s %8s %8s %7s %8s\n", row.workload, row.engine,
                 Cell(row.ops_per_s, 1, 0), Cell(row.p50_us, 1, 1), Cell(row.p99_us, 1, 1),
                 Cell(row.p999_us, 1, 1), Cell(row.rss_bytes, kMiB, 0),
                 Cell(row.disk_bytes, kMiB, 0), Cell(row.bytes_per_key, 1, 1),
                 Cell(row.seconds, 1, 2));
  }
}

void PrintBars(absl::Span<const Bar> bars, const Results& results) {
  for (const Bar& bar : bars) {
    const absl::optional<Judgement> judgement = Judge(bar, results);
    if (!judgement.has_value()) continue;
    const std::string spread = absl::StrFormat("%.2f (%.2f to %.2f)", judgement->median,
                                               judgement->least, judgement->greatest);
    absl::PrintF("%-58s %-26s %s %g: %s\n", bar.name, spread, WordsFor(bar.direction), bar.bar,
                 judgement->met ? "met" : "MISSED");
  }
}

bool WriteJson(const Results& results, const std::string& path) {
  std::ofstream file(path);
  for (const auto& [name, rounds] : results) file << ToJson(MedianOf(rounds)) << '\n';
  file.close();
  return file.good();
}

}  // namespace slipstream::bench
