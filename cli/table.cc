#include "cli/table.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "base/check.h"
#include "cli/text.h"

namespace slipstream::cli {

Table::Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

void Table::AddRow(std::vector<std::string> cells) {
  SLIP_CHECK(cells.size() == columns_.size());
  rows_.push_back(std::move(cells));
}

std::string Table::Render() const {
  std::vector<std::string> titles;
  bool any_title = false;
  for (const Column& column : columns_) {
    titles.push_back(column.title);
    any_title = any_title || !column.title.empty();
  }
  std::vector<int> widths;
  for (size_t i = 0; i < columns_.size(); ++i) {
    int width = ColumnCount(titles[i]);
    for (const auto& row : rows_) width = std::max(width, ColumnCount(row[i]));
    widths.push_back(width);
  }
  std::string text;
  if (any_title) AppendLine(titles, widths, text);
  for (const auto& row : rows_) AppendLine(row, widths, text);
  return text;
}

void Table::AppendLine(const std::vector<std::string>& cells, const std::vector<int>& widths,
                       std::string& text) const {
  std::string line;
  for (size_t i = 0; i < cells.size(); ++i) {
    const std::string padding(widths[i] - ColumnCount(cells[i]), ' ');
    if (i > 0) line += "  ";
    line += columns_[i].align == Align::kLeft ? cells[i] + padding : padding + cells[i];
  }
  absl::StripTrailingAsciiWhitespace(&line);
  text += line + "\n";
}

}  // namespace slipstream::cli
