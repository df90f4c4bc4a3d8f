#include "cli/proof_file.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "base/digest.h"
#include "base/key_id.h"
#include "base/status_macros.h"
#include "base/version.h"
#include "cli/json.h"
#include "merkle/leaf.h"
#include "merkle/proof.h"
#include "nlohmann/json.hpp"

namespace slipstream::cli {
namespace {

constexpr absl::string_view kFormat = "slipstream-proof-1";
constexpr absl::string_view kPresent = "present";
constexpr absl::string_view kAbsent = "absent";

absl::Status Malformed(absl::string_view field, absl::string_view what) {
  return absl::DataLossError(absl::StrCat("not a proof file: \"", field, "\" ", what));
}

// Returns the member `name` of `object`, which must be a string.
absl::StatusOr<std::string> StringMember(const Json& object, const char* name) {
  const auto member = object.find(name);
  if (member == object.end()) return Malformed(name, "is missing");
  if (!member->is_string()) return Malformed(name, "is not a string");
  return member->get<std::string>();
}

// Decodes exactly 2 * N hexadecimal digits.
template <size_t N>
absl::StatusOr<std::array<uint8_t, N>> HexMember(const Json& object, const char* name) {
  SLIP_ASSIGN_OR_RETURN(const std::string hex, StringMember(object, name));
  bool all_digits = hex.size() == 2 * N;
  for (const char c : hex) all_digits = all_digits && absl::ascii_isxdigit(c);
  if (!all_digits) return Malformed(name, absl::StrCat("is not ", 2 * N, " hexadecimal digits"));
  const std::string decoded = absl::HexStringToBytes(hex);
  std::array<uint8_t, N> bytes;
  for (size_t i = 0; i < N; ++i) bytes[i] = static_cast<uint8_t>(decoded[i]);
  return bytes;
}

Json FormatLeaf(const merkle::Leaf& leaf) {
  Json json;
  json["key_id"] = absl::BytesToHexString(leaf.key_id.view());
  // A decimal string: JSON numbers are exact only to 2^53.
  json["hlc"] = absl::StrCat(leaf.version.hlc);
  json["actor"] = absl::StrFormat("%016x", static_cast<uint64_t>(leaf.version.actor));
  json["expires_at_ms"] = leaf.expires_at_ms;
  json["value_digest"] = absl::BytesToHexString(leaf.value_digest.view());
  return json;
}

absl::StatusOr<merkle::Leaf> ParseLeaf(const Json& json) {
  if (!json.is_object()) return Malformed("end", "is neither null nor an object");
  merkle::Leaf leaf;
  SLIP_ASSIGN_OR_RETURN(leaf.key_id.bytes, HexMember<base::kKeyIdBytes>(json, "key_id"));
  SLIP_ASSIGN_OR_RETURN(const std::string hlc, StringMember(json, "hlc"));
  if (!absl::SimpleAtoi(hlc, &leaf.version.hlc) || absl::StrCat(leaf.version.hlc) != hlc) {
    return Malformed("hlc", "is not a decimal number of 64 bits");
  }
  SLIP_ASSIGN_OR_RETURN(const auto actor, HexMember<8>(json, "actor"));
  uint64_t actor_number = 0;
  for (const uint8_t byte : actor) actor_number = actor_number << 8 | byte;
  leaf.version.actor = base::ActorId{actor_number};
  const auto expires_at = json.find("expires_at_ms");
  if (expires_at == json.end() || !expires_at->is_number_unsigned()) {
    return Malformed("expires_at_ms", "is not a number of 0 or more");
  }
  leaf.expires_at_ms = expires_at->get<uint64_t>();
  SLIP_ASSIGN_OR_RETURN(leaf.value_digest.bytes, HexMember<20>(json, "value_digest"));
  return leaf;
}

absl::Status ParseSiblings(const Json& json, merkle::Proof& proof) {
  const auto siblings = json.find("siblings");
  if (siblings == json.end() || !siblings->is_array()) {
    return Malformed("siblings", "is not a list");
  }
  if (siblings->size() > base::kKeyIdBits) {
    return Malformed("siblings", absl::StrCat("has ", siblings->size(), " entries, at most ",
                                              base::kKeyIdBits, " are possible"));
  }
  for (const Json& sibling : *siblings) {
    base::Digest digest;
    const std::string hex = sibling.is_string() ? sibling.get<std::string>() : "?";
    if (!hex.empty() && !base::FromHex(hex, digest)) {
      return Malformed("siblings", absl::StrCat("[", proof.siblings.size(),
                                                "] is neither empty nor 64 hexadecimal digits"));
    }
    proof.siblings.push_back(digest);
  }
  return absl::OkStatus();
}

absl::StatusOr<merkle::Presence> ParsePresence(const Json& json) {
  SLIP_ASSIGN_OR_RETURN(const std::string text, StringMember(json, "presence"));
  if (text == kPresent) return merkle::Presence::kPresent;
  if (text == kAbsent) return merkle::Presence::kAbsent;
  return Malformed("presence", "is neither \"present\" nor \"absent\"");
}

}  // namespace

std::string FormatProofFile(const ProofFile& file) {
  Json json;
  json["format"] = std::string(kFormat);
  json["key"] = absl::Base64Escape(file.key);
  json["root"] = base::ToHex(file.root);
  json["presence"] = std::string(file.presence == merkle::Presence::kPresent ? kPresent : kAbsent);
  json["siblings"] = Json::array();
  for (const base::Digest& sibling : file.proof.siblings) {
    json["siblings"].push_back(sibling.is_zero() ? "" : base::ToHex(sibling));
  }
  json["end"] = file.proof.end.has_value() ? FormatLeaf(*file.proof.end) : Json();
  return json.dump(2) + "\n";
}

absl::StatusOr<ProofFile> ParseProofFile(absl::string_view text) {
  const Json json = Json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return absl::DataLossError("not a proof file: not a JSON object");
  SLIP_ASSIGN_OR_RETURN(const std::string format, StringMember(json, "format"));
  if (format != kFormat) {
    return Malformed("format", absl::StrCat("is not \"", kFormat, "\""));
  }
  ProofFile file;
  SLIP_ASSIGN_OR_RETURN(const std::string key, StringMember(json, "key"));
  if (!absl::Base64Unescape(key, &file.key) || absl::Base64Escape(file.key) != key) {
    return Malformed("key", "is not base64");
  }
  SLIP_ASSIGN_OR_RETURN(file.root.bytes, HexMember<32>(json, "root"));
  SLIP_ASSIGN_OR_RETURN(file.presence, ParsePresence(json));
  SLIP_RETURN_IF_ERROR(ParseSiblings(json, file.proof));
  const auto end = json.find("end");
  if (end == json.end()) return Malformed("end", "is missing");
  if (!end->is_null()) {
    SLIP_ASSIGN_OR_RETURN(file.proof.end, ParseLeaf(*end));
  }
  return file;
}

}  // namespace slipstream::cli
