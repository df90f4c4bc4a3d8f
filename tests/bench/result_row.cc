#include "tests/bench/result_row.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "nlohmann/json.hpp"

namespace slipstream::bench {
namespace {

constexpr std::array<ResultField, 8> kFields = {{
    {"ops_per_s", &ResultRow::ops_per_s, false},
    {"p50_us", &ResultRow::p50_us, false},
    {"p99_us", &ResultRow::p99_us, false},
    {"p999_us", &ResultRow::p999_us, false},
    {"rss_bytes", &ResultRow::rss_bytes, true},
    {"disk_bytes", &ResultRow::disk_bytes, true},
    {"bytes_per_key", &ResultRow::bytes_per_key, false},
    {"seconds", &ResultRow::seconds, false},
}};

absl::optional<double> MedianOfField(absl::Span<const ResultRow> rounds, const ResultField& field) {
  std::vector<double> values;
  for (const ResultRow& row : rounds) {
    if (!(row.*field.member).has_value()) return absl::nullopt;
    values.push_back(*(row.*field.member));
  }
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace

absl::Span<const ResultField> ResultFields() { return kFields; }

std::string ToJson(const ResultRow& row) {
  nlohmann::ordered_json json = {{"workload", row.workload}, {"engine", row.engine}};
  for (const ResultField& field : kFields) {
    const absl::optional<double>& value = row.*field.member;
    if (!value.has_value()) {
      json[field.name] = nullptr;
    } else if (field.is_whole) {
      json[field.name] = static_cast<int64_t>(std::llround(*value));
    } else {
      json[field.name] = *value;
    }
  }
  return json.dump();
}

absl::StatusOr<ResultRow> ResultRowFromJson(absl::string_view line) {
  const auto json = nlohmann::json::parse(line.begin(), line.end(), nullptr, false);
  const auto is_text = [&json](const char* key) {
    return json.contains(key) && json[key].is_string();
  };
  if (!json.is_object() || !is_text("workload") || !is_text("engine")) {
    return absl::InvalidArgumentError(absl::StrCat("not a result: \"", line, "\""));
  }
  ResultRow row{.workload = json["workload"].get<std::string>(),
                .engine = json["engine"].get<std::string>()};
  for (const ResultField& field : kFields) {
    const auto value = json.find(field.name);
    if (value == json.end() || (!value->is_null() && !value->is_number())) {
      return absl::InvalidArgumentError(absl::StrCat("no ", field.name, " in \"", line, "\""));
    }
    if (value->is_number()) row.*field.member = value->get<double>();
  }
  return row;
}

ResultRow MedianOf(absl::Span<const ResultRow> rounds) {
  SLIP_CHECK(!rounds.empty());
  ResultRow median{.workload = rounds[0].workload, .engine = rounds[0].engine};
  for (const ResultField& field : kFields) median.*field.member = MedianOfField(rounds, field);
  return median;
}

}  // namespace slipstream::bench
