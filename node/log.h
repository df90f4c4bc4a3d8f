// Log: what the daemon tells its operator, one line an event, on stderr. Every line has the same
// keys, so that machines can read it too: ts, level, node, event, msg, then those of the event.
// Errors are logged once, where they end; what goes to a client as an answer is not logged.
#ifndef SLIPSTREAM_NODE_LOG_H_
#define SLIPSTREAM_NODE_LOG_H_

#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace spdlog {
class logger;
}  // namespace spdlog

namespace slipstream::node {

enum class LogFormat { kText, kJson };
enum class LogLevel { kInfo, kWarning, kError };

// One key of a line beside the fixed ones. `value` must live during the call only.
struct LogField {
  absl::string_view key;
  absl::string_view value;
};

// Thread-safe.
class Log {
 public:
  // `node_name` stands in every line.
  Log(LogFormat format, absl::string_view node_name);
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  // Writes a line. `event` is a stable word that scripts may match, `message` is for people.
  void Write(LogLevel level, absl::string_view event, absl::string_view message,
             absl::Span<const LogField> fields = {});

 private:
  const LogFormat format_;
  const std::string node_name_;
  const std::unique_ptr<spdlog::logger> logger_;
};

// What Write adds to the time and the level: exposed for its test. JSON is one object's members
// without the braces; in text, values with spaces, quotes or control characters are quoted.
std::string RenderLogLine(LogFormat format, absl::string_view node_name, absl::string_view event,
                          absl::string_view message, absl::Span<const LogField> fields);

}  // namespace slipstream::node

#endif  // SLIPSTREAM_NODE_LOG_H_
