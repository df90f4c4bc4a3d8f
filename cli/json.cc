#include "cli/json.h"

#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/string_view.h"
#include "cli/text.h"
#include "nlohmann/json.hpp"

namespace slipstream::cli {

void AddKey(absl::string_view key, Json& json) {
  if (IsUtf8(key)) {
    json["key"] = std::string(key);
  } else {
    json["key"] = absl::Base64Escape(key);
    json["key_encoding"] = "base64";
  }
}

void AddValue(absl::string_view value, Json& json) {
  const bool utf8 = IsUtf8(value);
  json["value"] = utf8 ? std::string(value) : absl::Base64Escape(value);
  json["encoding"] = utf8 ? "utf8" : "base64";
}

std::string Line(const Json& json) {
  // Text from elsewhere (a member's name, an error) is shown even if it is not UTF-8.
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace slipstream::cli
