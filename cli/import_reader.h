// ImportReader: turns lines of text into groups of operations for the pipeline.
#ifndef SLIPSTREAM_CLI_IMPORT_READER_H_
#define SLIPSTREAM_CLI_IMPORT_READER_H_

#include <cstddef>
#include <cstdint>
#include <istream>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "slipstream/v1/kv.pb.h"

namespace slipstream::cli {

// A group is full with so many operations or so many bytes of keys and values, whatever comes
// first.
inline constexpr int kGroupOperationsMax = 128;
inline constexpr size_t kGroupBytesMax = 128 << 10;
// The greatest key and value with the TAB between them; a longer line is refused unread.
inline constexpr size_t kLineBytesMax = (8 << 20) + (4 << 10) + 1;

enum class ImportMode {
  kPut,     // KEY<TAB>VALUE; the value may hold further TABs.
  kDelete,  // KEY
};

// Reads lines that end with '\n', the last one perhaps without. Every line is one operation, its
// bytes taken as they are: nothing is unescaped or trimmed. Not thread-safe.
class ImportReader {
 public:
  // `input` must outlive this object.
  ImportReader(std::istream& input, ImportMode mode) : input_(input), mode_(mode) {}

  // Puts the next lines into `group`, which must be empty; its id becomes the number of its first
  // line, from 1, so that the line of each operation is known. Returns false when nothing is left.
  // INVALID_ARGUMENT naming the line that has no TAB or is too long; the groups before hold all
  // lines before it.
  absl::StatusOr<bool> Next(v1::PipelineRequest& group);

 private:
  // Reads one line without its '\n'. Returns false at the end.
  absl::StatusOr<bool> ReadLine(std::string& line);
  absl::Status AddOperation(std::string line, v1::PipelineRequest& group) const;

  std::istream& input_;
  ImportMode mode_;
  uint64_t line_count_ = 0;
  absl::Status error_;  // Of the line after the last group.
};

}  // namespace slipstream::cli

#endif  // SLIPSTREAM_CLI_IMPORT_READER_H_
