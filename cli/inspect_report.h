// InspectReport: what `slipctl inspect` found in a file, before it becomes text or JSON.
//
// The inspectors (inspect_segment.h and its like) fill it in; both outputs are made of it alone, so
// that they say the same.
#ifndef SLIPSTREAM_CLI_INSPECT_REPORT_H_
#define SLIPSTREAM_CLI_INSPECT_REPORT_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "cli/json.h"

namespace slipstream::cli {

// Of a list's rows, frames aside.
inline constexpr uint64_t kInspectLimitDefault = 100;
inline constexpr uint64_t kInspectLimitMax = 1'000'000;
// Further damage of a file is only counted.
inline constexpr size_t kInspectDamageMax = 1000;

struct InspectOptions {
  std::string name;      // Of the file, without its directory: may tell kind and number.
  bool records = false;  // List the records of a segment, the entries of a run.
  uint64_t limit = kInspectLimitDefault;
  // Where a segment's data ends, if the one after it or the manifest says so: what stands behind
  // was cut.
  absl::optional<uint64_t> data_end;
};

// The bytes of a key.
struct InspectKey {
  std::string bytes;
};

// Nothing, a number, a flag, text, a key.
using InspectValue = std::variant<std::monostate, uint64_t, bool, std::string, InspectKey>;

// Returns `value` if `holds`, else nothing.
inline InspectValue ValueIf(bool holds, InspectValue value) {
  return holds ? std::move(value) : InspectValue();
}

struct InspectField {
  std::string name;  // As in JSON; text has blanks for its underscores.
  InspectValue value;
};

struct InspectTable {
  std::string name;
  std::vector<std::string> columns;
  std::vector<std::vector<InspectValue>> rows;  // One value for each column.
  uint64_t left_out = 0;

  // Adds a row, or counts it as left out if there are `limit` already.
  void AddRow(std::vector<InspectValue> row, uint64_t limit);
  // Returns whether AddRow would add one; counts it as left out if not. Spares the making of rows.
  bool TakesRow(uint64_t limit);
};

// What failed its checks, and where in the file.
struct InspectDamage {
  uint64_t offset = 0;
  std::string what;
};

struct InspectReport {
  std::string kind;
  uint64_t file_bytes = 0;
  std::vector<InspectField> header;   // What the file says of itself.
  std::vector<InspectField> summary;  // What was found.
  std::vector<InspectTable> tables;
  bool passes = true;
  bool complete = true;               // Of a directory: all of it could be read.
  std::vector<InspectDamage> damage;  // At most kInspectDamageMax.
  uint64_t damage_left_out = 0;
  std::string verdict;  // The last line of the text, if it is not about one file.

  void AddDamage(uint64_t offset, absl::string_view what);
};

// Returns `number` as 16 hexadecimal digits: for ids, clocks and incarnations.
std::string InspectId(uint64_t number);

// Returns the report on the file at `path` as lines of text.
std::string InspectText(absl::string_view path, const InspectReport& report);

// Returns the same as one JSON object. Fields and cells without a value are left out.
Json InspectJson(absl::string_view path, const InspectReport& report);

}  // namespace slipstream::cli

#endif  // SLIPSTREAM_CLI_INSPECT_REPORT_H_
