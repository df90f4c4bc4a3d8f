// Table: rows of text in aligned columns.
#ifndef SLIPSTREAM_CLI_TABLE_H_
#define SLIPSTREAM_CLI_TABLE_H_

#include <string>
#include <vector>

namespace slipstream::cli {

// Collects rows and renders them with two spaces between columns. Not thread-safe.
class Table {
 public:
  enum class Align { kLeft, kRight };
  struct Column {
    std::string title;
    Align align = Align::kLeft;
  };

  explicit Table(std::vector<Column> columns);

  // Adds a row with a UTF-8 text for each column.
  void AddRow(std::vector<std::string> cells);

  // Returns the titles, unless all are empty, and the rows; each line ends with '\n' and no line
  // with spaces.
  std::string Render() const;

 private:
  void AppendLine(const std::vector<std::string>& cells, const std::vector<int>& widths,
                  std::string& text) const;

  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace slipstream::cli

#endif  // SLIPSTREAM_CLI_TABLE_H_
