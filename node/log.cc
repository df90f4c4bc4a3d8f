#include "node/log.h"

#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace slipstream::node {
namespace {

std::string Quoted(absl::string_view text) {
  // Bytes that are no UTF-8, as in a path, become the replacement character.
  return nlohmann::json(std::string(text))
      .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string TextValue(absl::string_view value) {
  const bool plain = !value.empty() && std::all_of(value.begin(), value.end(), [](char c) {
    return absl::ascii_isgraph(c) && c != '"' && c != '=';
  });
  return plain ? std::string(value) : Quoted(value);
}

spdlog::level::level_enum SpdlogLevel(LogLevel level) {
  switch (level) {
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

}  // namespace

Log::Log(LogFormat format, absl::string_view node_name)
    : format_(format),
      node_name_(node_name),
      logger_(std::make_unique<spdlog::logger>("slipstream",
                                               std::make_shared<spdlog::sinks::stderr_sink_mt>())) {
  const char* const pattern = format_ == LogFormat::kJson
                                  ? R"({"ts":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l",%v})"
                                  : "%Y-%m-%dT%H:%M:%S.%eZ %l %v";
  logger_->set_formatter(
      std::make_unique<spdlog::pattern_formatter>(pattern, spdlog::pattern_time_type::utc));
  logger_->flush_on(spdlog::level::info);
}

Log::~Log() = default;

void Log::Write(LogLevel level, absl::string_view event, absl::string_view message,
                absl::Span<const LogField> fields) {
  logger_->log(SpdlogLevel(level), RenderLogLine(format_, node_name_, event, message, fields));
}

std::string RenderLogLine(LogFormat format, absl::string_view node_name, absl::string_view event,
                          absl::string_view message, absl::Span<const LogField> fields) {
  std::string line;
  if (format == LogFormat::kJson) {
    absl::StrAppend(&line, "\"node\":", Quoted(node_name), ",\"event\":", Quoted(event),
                    ",\"msg\":", Quoted(message));
    for (const LogField& field : fields) {
      absl::StrAppend(&line, ",", Quoted(field.key), ":", Quoted(field.value));
    }
    return line;
  }
  absl::StrAppend(&line, "node=", TextValue(node_name), " event=", TextValue(event),
                  " msg=", Quoted(message));
  for (const LogField& field : fields) {
    absl::StrAppend(&line, " ", field.key, "=", TextValue(field.value));
  }
  return line;
}

}  // namespace slipstream::node
