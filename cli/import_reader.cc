#include "cli/import_reader.h"

#include <cstddef>
#include <istream>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "cli/text.h"
#include "slipstream/v1/kv.pb.h"

namespace slipstream::cli {

absl::StatusOr<bool> ImportReader::Next(v1::PipelineRequest& group) {
  group.set_id(line_count_ + 1);
  std::string line;
  size_t bytes = 0;
  while (error_.ok() && group.operations_size() < kGroupOperationsMax && bytes < kGroupBytesMax) {
    const absl::StatusOr<bool> more = ReadLine(line);
    error_ = more.status();
    if (!error_.ok() || !*more) break;
    bytes += line.size();
    error_ = AddOperation(std::move(line), group);
  }
  if (group.operations_size() > 0) return true;
  SLIP_RETURN_IF_ERROR(error_);
  return false;
}

absl::StatusOr<bool> ImportReader::ReadLine(std::string& line) {
  line.clear();
  std::streambuf& buffer = *input_.rdbuf();
  int c = buffer.sbumpc();
  if (c == std::streambuf::traits_type::eof()) return false;
  ++line_count_;
  while (c != '\n' && c != std::streambuf::traits_type::eof()) {
    if (line.size() == kLineBytesMax) {
      return absl::InvalidArgumentError(absl::StrCat("line ", FormatCount(line_count_),
                                                     " is longer than ", FormatCount(kLineBytesMax),
                                                     " bytes"));
    }
    line.push_back(static_cast<char>(c));
    c = buffer.sbumpc();
  }
  return true;
}

absl::Status ImportReader::AddOperation(std::string line, v1::PipelineRequest& group) const {
  if (mode_ == ImportMode::kDelete) {
    v1::Operation& operation = *group.add_operations();
    operation.set_kind(v1::OPERATION_KIND_DELETE);
    operation.set_key(std::move(line));
    return absl::OkStatus();
  }
  const size_t tab = line.find('\t');
  if (tab == std::string::npos) {
    return absl::InvalidArgumentError(absl::StrCat(
        "line ", FormatCount(line_count_), " has no TAB between key and value: ", Quote(line)));
  }
  v1::Operation& operation = *group.add_operations();
  operation.set_kind(v1::OPERATION_KIND_PUT);
  operation.set_key(line.substr(0, tab));
  operation.set_value(line.substr(tab + 1));
  return absl::OkStatus();
}

}  // namespace slipstream::cli
