#include "cli/text.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace slipstream::cli {
namespace {

constexpr size_t kQuotedBytesMax = 60;

// Returns the length of the well-formed code point at the front of `bytes`; 0 if there is none.
// The table is that of the Unicode Standard, "Well-Formed UTF-8 Byte Sequences".
size_t CodePointBytes(absl::string_view bytes) {
  if (bytes.empty()) return 0;
  const auto byte_at = [bytes](size_t index) { return static_cast<uint8_t>(bytes[index]); };
  const uint8_t first = byte_at(0);
  if (first < 0x80) return 1;
  size_t count = 0;
  uint8_t second_min = 0x80;
  uint8_t second_max = 0xbf;
  if (first >= 0xc2 && first <= 0xdf) {
    count = 2;
  } else if (first >= 0xe0 && first <= 0xef) {
    count = 3;
    if (first == 0xe0) second_min = 0xa0;
    if (first == 0xed) second_max = 0x9f;
  } else if (first >= 0xf0 && first <= 0xf4) {
    count = 4;
    if (first == 0xf0) second_min = 0x90;
    if (first == 0xf4) second_max = 0x8f;
  }
  if (count == 0 || bytes.size() < count) return 0;
  if (byte_at(1) < second_min || byte_at(1) > second_max) return 0;
  for (size_t i = 2; i < count; ++i) {
    if ((byte_at(i) & 0xc0) != 0x80) return 0;
  }
  return count;
}

// C1 controls, U+0080 to U+009F, steer terminals just as C0 controls do.
bool IsControl(absl::string_view code_point) {
  const auto first = static_cast<uint8_t>(code_point[0]);
  if (code_point.size() == 1) return first < 0x20 || first == 0x7f;
  return first == 0xc2 && static_cast<uint8_t>(code_point[1]) < 0xa0;
}

void AppendEscaped(absl::string_view bytes, std::string& text) {
  for (const char c : bytes) {
    switch (c) {
      case '\t':
        text += "\\t";
        break;
      case '\n':
        text += "\\n";
        break;
      case '\r':
        text += "\\r";
        break;
      default:
        absl::StrAppendFormat(&text, "\\x%02x", static_cast<uint8_t>(c));
    }
  }
}

}  // namespace

bool IsUtf8(absl::string_view bytes) {
  while (!bytes.empty()) {
    const size_t count = CodePointBytes(bytes);
    if (count == 0) return false;
    bytes.remove_prefix(count);
  }
  return true;
}

int ColumnCount(absl::string_view text) {
  int columns = 0;
  for (const char c : text) {
    if ((static_cast<uint8_t>(c) & 0xc0) != 0x80) ++columns;
  }
  return columns;
}

std::string Escape(absl::string_view bytes) {
  std::string text;
  while (!bytes.empty()) {
    const size_t count = CodePointBytes(bytes);
    const absl::string_view unit = bytes.substr(0, count == 0 ? 1 : count);
    if (count == 0 || IsControl(unit)) {
      AppendEscaped(unit, text);
    } else if (unit == "\\") {
      text += "\\\\";
    } else {
      absl::StrAppend(&text, unit);
    }
    bytes.remove_prefix(unit.size());
  }
  return text;
}

std::string Quote(absl::string_view bytes) {
  if (bytes.size() <= kQuotedBytesMax) return absl::StrCat("\"", Escape(bytes), "\"");
  size_t count = 0;
  while (count < kQuotedBytesMax) {
    const size_t unit = CodePointBytes(bytes.substr(count));
    count += unit == 0 ? 1 : unit;
  }
  return absl::StrCat("\"", Escape(bytes.substr(0, count)), "…\" (", bytes.size(), " bytes)");
}

std::string FormatCount(uint64_t count) {
  std::string digits = absl::StrCat(count);
  for (size_t end = digits.size(); end > 3; end -= 3) digits.insert(end - 3, ",");
  return digits;
}

std::string FormatCount(uint64_t count, absl::string_view singular, absl::string_view plural) {
  return absl::StrCat(FormatCount(count), " ", count == 1 ? singular : plural);
}

std::string FormatBytes(uint64_t bytes) {
  static constexpr std::array<const char*, 6> kUnits = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes < 1024) return absl::StrCat(bytes, " B");
  double amount = static_cast<double>(bytes) / 1024;
  size_t unit = 0;
  // 1023.95 would be shown as 1024.0.
  while (amount >= 1023.95 && unit + 1 < kUnits.size()) {
    amount /= 1024;
    ++unit;
  }
  const std::string digits = absl::StrFormat("%.1f", amount);
  return absl::StrCat(absl::StripSuffix(digits, ".0"), " ", kUnits[unit]);
}

}  // namespace slipstream::cli
