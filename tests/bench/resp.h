// RESP: as much of Redis's protocol (version 2) as it takes to put and get.
#ifndef SLIPSTREAM_TESTS_BENCH_RESP_H_
#define SLIPSTREAM_TESTS_BENCH_RESP_H_

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"

namespace slipstream::bench {

// Appends a command to `out`, as Redis wants it: an array of strings.
void AppendRespCommand(absl::Span<const absl::string_view> words, std::string& out);

struct RespReply {
  enum class Kind { kSimple, kError, kInteger, kBulk, kNull };
  Kind kind = Kind::kNull;
  absl::string_view text;  // Of kInteger the digits; of kNull nothing.
};

// Cuts the bytes of a connection into replies; no arrays. Not thread-safe.
class RespReader {
 public:
  void Append(absl::string_view bytes);
  // Returns the next reply, whose text lives until the next call; nothing if its last byte is not
  // there yet. INVALID_ARGUMENT if the bytes are not RESP: there is no way on from there.
  absl::StatusOr<absl::optional<RespReply>> Next();

 private:
  std::string buffer_;
  size_t begin_ = 0;  // Of the next reply.
};

}  // namespace slipstream::bench

#endif  // SLIPSTREAM_TESTS_BENCH_RESP_H_
