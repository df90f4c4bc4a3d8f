#include "tests/bench/process_figures.h"

#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <system_error>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

namespace slipstream::bench {
namespace {

// The lines "name: number ..." of a file of /proc; lines of another form are left out.
std::map<std::string, uint64_t> ReadNumbers(const char* path) {
  std::map<std::string, uint64_t> numbers;
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(line, absl::MaxSplits(':', 1));
    const std::pair<absl::string_view, absl::string_view> words =
        absl::StrSplit(absl::StripAsciiWhitespace(parts.second), absl::MaxSplits(' ', 1));
    uint64_t number = 0;
    if (absl::SimpleAtoi(words.first, &number)) numbers[std::string(parts.first)] = number;
  }
  return numbers;
}

}  // namespace

ProcessFigures FiguresOfThisProcess() {
  constexpr uint64_t kKiB = 1024;
  std::map<std::string, uint64_t> status = ReadNumbers("/proc/self/status");
  std::map<std::string, uint64_t> io = ReadNumbers("/proc/self/io");
  return {.resident_bytes = status["VmRSS"] * kKiB,
          .anonymous_bytes = status["RssAnon"] * kKiB,
          .peak_resident_bytes = status["VmHWM"] * kKiB,
          .device_read_bytes = io["read_bytes"]};
}

uint64_t DiskBytesOf(const std::string& directory) {
  constexpr uint64_t kStatBlockBytes = 512;
  uint64_t bytes = 0;
  std::error_code error;
  // An engine may remove a file meanwhile: what is gone counts nothing.
  for (std::filesystem::recursive_directory_iterator entry(directory, error), end;
       !error && entry != end; entry.increment(error)) {
    struct stat status {};
    if (lstat(entry->path().c_str(), &status) != 0 || !S_ISREG(status.st_mode)) continue;
    bytes += static_cast<uint64_t>(status.st_blocks) * kStatBlockBytes;
  }
  return bytes;
}

}  // namespace slipstream::bench
