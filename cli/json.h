// JSON with members in the order in which they were added, and bytes that need not be text.
#ifndef SLIPSTREAM_CLI_JSON_H_
#define SLIPSTREAM_CLI_JSON_H_

#include <string>

#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"

namespace slipstream::cli {

using Json = nlohmann::ordered_json;

// Adds "key": as text if it is UTF-8; else in base64, followed by "key_encoding":"base64".
void AddKey(absl::string_view key, Json& json);

// Adds "value" and "encoding": "utf8" if the value is UTF-8, else "base64".
void AddValue(absl::string_view value, Json& json);

// Returns `json` on one line, ended by '\n'. What is not UTF-8 in its strings becomes U+FFFD.
std::string Line(const Json& json);

}  // namespace slipstream::cli

#endif  // SLIPSTREAM_CLI_JSON_H_
