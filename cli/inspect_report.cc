#include "cli/inspect_report.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "base/check.h"
#include "cli/table.h"
#include "cli/text.h"

namespace slipstream::cli {
namespace {

// A flag that is not set is blank in a table, so that those that are stand out.
std::string TextOf(const InspectValue& value) {
  if (const auto* number = std::get_if<uint64_t>(&value)) return absl::StrCat(*number);
  if (const auto* flag = std::get_if<bool>(&value)) return *flag ? "yes" : "";
  if (const auto* text = std::get_if<std::string>(&value)) return Escape(*text);
  if (const auto* key = std::get_if<InspectKey>(&value)) return Escape(key->bytes);
  return "";
}

void AddTo(Json& json, const std::string& name, const InspectValue& value) {
  if (const auto* number = std::get_if<uint64_t>(&value)) json[name] = *number;
  if (const auto* flag = std::get_if<bool>(&value)) json[name] = *flag;
  if (const auto* text = std::get_if<std::string>(&value)) json[name] = *text;
  if (const auto* key = std::get_if<InspectKey>(&value)) AddKey(key->bytes, json);
}

std::string LabelOf(absl::string_view name) { return absl::StrReplaceAll(name, {{"_", " "}}); }

std::string TextOfFields(const std::vector<InspectField>& fields) {
  Table table({{}, {}});
  for (const InspectField& field : fields) {
    const auto* flag = std::get_if<bool>(&field.value);
    const bool unset = flag != nullptr && !*flag;
    table.AddRow({LabelOf(field.name), unset ? "no" : TextOf(field.value)});
  }
  return table.Render();
}

// Columns in which no row has anything are left out.
std::string TextOfTable(const InspectTable& table) {
  std::vector<size_t> shown;
  std::vector<Table::Column> columns;
  for (size_t i = 0; i < table.columns.size(); ++i) {
    const auto says_something = [i](const std::vector<InspectValue>& row) {
      return !TextOf(row[i]).empty();
    };
    if (std::none_of(table.rows.begin(), table.rows.end(), says_something)) continue;
    const auto is_number = [i](const std::vector<InspectValue>& row) {
      return std::holds_alternative<uint64_t>(row[i]);
    };
    const bool right = std::any_of(table.rows.begin(), table.rows.end(), is_number);
    shown.push_back(i);
    columns.push_back({.title = absl::AsciiStrToUpper(LabelOf(table.columns[i])),
                       .align = right ? Table::Align::kRight : Table::Align::kLeft});
  }
  Table rendered(columns);
  for (const std::vector<InspectValue>& row : table.rows) {
    std::vector<std::string> cells;
    for (const size_t i : shown) cells.push_back(TextOf(row[i]));
    rendered.AddRow(std::move(cells));
  }
  std::string text = rendered.Render();
  if (table.left_out != 0) {
    absl::StrAppend(&text, "... and ", FormatCount(table.left_out),
                    " more; --limit says how many are shown\n");
  }
  return text;
}

std::string TextOfDamage(const InspectReport& report) {
  Table table({{.title = "OFFSET", .align = Table::Align::kRight}, {.title = "WHAT"}});
  for (const InspectDamage& damage : report.damage) {
    table.AddRow({absl::StrCat(damage.offset), Escape(damage.what)});
  }
  std::string text = table.Render();
  if (report.damage_left_out != 0) {
    absl::StrAppend(&text, "... and ", FormatCount(report.damage_left_out), " more\n");
  }
  return text;
}

std::string Verdict(const InspectReport& report) {
  if (!report.verdict.empty()) return report.verdict;
  if (report.passes) return "passes its checks";
  return absl::StrCat(
      "fails ", FormatCount(report.damage.size() + report.damage_left_out, "check", "checks"));
}

Json JsonOfFields(const std::vector<InspectField>& fields) {
  Json json = Json::object();
  for (const InspectField& field : fields) AddTo(json, field.name, field.value);
  return json;
}

Json JsonOfTable(const InspectTable& table) {
  Json json = Json::array();
  for (const std::vector<InspectValue>& row : table.rows) {
    Json object = Json::object();
    for (size_t i = 0; i < row.size(); ++i) AddTo(object, table.columns[i], row[i]);
    json.push_back(std::move(object));
  }
  return json;
}

}  // namespace

void InspectTable::AddRow(std::vector<InspectValue> row, uint64_t limit) {
  SLIP_CHECK(row.size() == columns.size());
  if (TakesRow(limit)) rows.push_back(std::move(row));
}

bool InspectTable::TakesRow(uint64_t limit) {
  if (rows.size() < limit) return true;
  ++left_out;
  return false;
}

void InspectReport::AddDamage(uint64_t offset, absl::string_view what) {
  passes = false;
  if (damage.size() < kInspectDamageMax) {
    damage.push_back({.offset = offset, .what = std::string(what)});
  } else {
    ++damage_left_out;
  }
}

std::string InspectId(uint64_t number) { return absl::StrFormat("%016x", number); }

std::string InspectText(absl::string_view path, const InspectReport& report) {
  std::string text = absl::StrCat(Escape(path), ": ", report.kind);
  if (report.file_bytes != 0) {
    absl::StrAppend(&text, ", ", FormatCount(report.file_bytes, "byte", "bytes"));
  }
  absl::StrAppend(&text, "\n");
  for (const auto* fields : {&report.header, &report.summary}) {
    if (!fields->empty()) absl::StrAppend(&text, "\n", TextOfFields(*fields));
  }
  for (const InspectTable& table : report.tables) {
    if (table.rows.empty()) continue;
    absl::StrAppend(&text, "\n", table.name, ":\n", TextOfTable(table));
  }
  if (!report.damage.empty()) absl::StrAppend(&text, "\ndamage:\n", TextOfDamage(report));
  absl::StrAppend(&text, "\n", Verdict(report), "\n");
  return text;
}

Json InspectJson(absl::string_view path, const InspectReport& report) {
  Json json;
  json["path"] = std::string(path);
  json["kind"] = report.kind;
  json["file_bytes"] = report.file_bytes;
  json["passes"] = report.passes;
  if (!report.header.empty()) json["header"] = JsonOfFields(report.header);
  if (!report.summary.empty()) json["summary"] = JsonOfFields(report.summary);
  for (const InspectTable& table : report.tables) {
    json[table.name] = JsonOfTable(table);
    if (table.left_out != 0) json[table.name + "_left_out"] = table.left_out;
  }
  json["damage"] = Json::array();
  for (const InspectDamage& damage : report.damage) {
    Json object;
    object["offset"] = damage.offset;
    object["what"] = damage.what;
    json["damage"].push_back(std::move(object));
  }
  if (report.damage_left_out != 0) json["damage_left_out"] = report.damage_left_out;
  return json;
}

}  // namespace slipstream::cli
