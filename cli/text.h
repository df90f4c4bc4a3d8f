// Bytes, counts and sizes as people read them.
#ifndef SLIPSTREAM_CLI_TEXT_H_
#define SLIPSTREAM_CLI_TEXT_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace slipstream::cli {

// Returns whether `bytes` is well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms).
bool IsUtf8(absl::string_view bytes);

// Returns the number of code points of `text`, which must be UTF-8: the columns it takes, as long
// as no wide or combining characters are in it.
int ColumnCount(absl::string_view text);

// Returns `bytes` as one line that is safe to show on a terminal: printable UTF-8 as it is, all
// else as \t, \n, \r, \\ or \xNN.
std::string Escape(absl::string_view bytes);

// Returns `bytes` escaped, in quotes, cut to some 60 characters: for messages.
std::string Quote(absl::string_view bytes);

// Returns "12,345".
std::string FormatCount(uint64_t count);

// Returns "1 key", "12,345 keys".
std::string FormatCount(uint64_t count, absl::string_view singular, absl::string_view plural);

// Returns "512 B", "1.5 KiB", "64 MiB": rounded to one digit after the point, which is left out if
// 0.
std::string FormatBytes(uint64_t bytes);

}  // namespace slipstream::cli

#endif  // SLIPSTREAM_CLI_TEXT_H_
