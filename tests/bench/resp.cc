#include "tests/bench/resp.h"

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace slipstream::bench {
namespace {

constexpr absl::string_view kLineEnd = "\r\n";
// As Redis.
constexpr int64_t kBulkBytesMax = 512 << 20;

absl::Status BrokenError(absl::string_view line) {
  return absl::InvalidArgumentError(absl::StrCat("not a reply of RESP: \"", line, "\""));
}

}  // namespace

void AppendRespCommand(absl::Span<const absl::string_view> words, std::string& out) {
  absl::StrAppend(&out, "*", words.size(), kLineEnd);
  for (const absl::string_view word : words) {
    absl::StrAppend(&out, "$", word.size(), kLineEnd, word, kLineEnd);
  }
}

void RespReader::Append(absl::string_view bytes) {
  buffer_.erase(0, begin_);
  begin_ = 0;
  buffer_.append(bytes.data(), bytes.size());
}

absl::StatusOr<absl::optional<RespReply>> RespReader::Next() {
  const absl::string_view rest = absl::string_view(buffer_).substr(begin_);
  const size_t line_bytes = rest.find(kLineEnd);
  if (line_bytes == absl::string_view::npos) return absl::nullopt;
  const absl::string_view line = rest.substr(0, line_bytes);
  const size_t body = line_bytes + kLineEnd.size();
  if (line.empty()) return BrokenError(line);
  RespReply reply{.kind = RespReply::Kind::kBulk, .text = line.substr(1)};
  size_t reply_bytes = body;
  switch (line[0]) {
    case '+':
      reply.kind = RespReply::Kind::kSimple;
      break;
    case '-':
      reply.kind = RespReply::Kind::kError;
      break;
    case ':':
      reply.kind = RespReply::Kind::kInteger;
      break;
    case '$': {
      int64_t bulk_bytes = 0;
      if (!absl::SimpleAtoi(reply.text, &bulk_bytes) || bulk_bytes > kBulkBytesMax ||
          bulk_bytes < -1) {
        return BrokenError(line);
      }
      if (bulk_bytes < 0) {
        reply = {.kind = RespReply::Kind::kNull};
        break;
      }
      reply_bytes = body + static_cast<size_t>(bulk_bytes) + kLineEnd.size();
      if (rest.size() < reply_bytes) return absl::nullopt;
      reply.text = rest.substr(body, static_cast<size_t>(bulk_bytes));
      if (rest.substr(reply_bytes - kLineEnd.size(), kLineEnd.size()) != kLineEnd) {
        return BrokenError(line);
      }
      break;
    }
    default:
      return BrokenError(line);
  }
  begin_ += reply_bytes;
  return reply;
}

}  // namespace slipstream::bench
