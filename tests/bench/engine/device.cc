#include "tests/bench/engine/device.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "nlohmann/json.hpp"

namespace slipstream::bench {
namespace {

constexpr size_t kChunkBytes = 1 << 20;

absl::Status WriteRandomFile(const std::string& path, uint64_t bytes) {
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file < 0) return absl::UnavailableError(absl::StrCat(path, ": ", std::strerror(errno)));
  const std::string chunk = base::Random(1).Bytes(kChunkBytes);
  bool written = true;
  for (uint64_t done = 0; written && done < bytes; done += kChunkBytes) {
    written = write(file, chunk.data(), chunk.size()) == static_cast<ssize_t>(chunk.size());
  }
  written = written && fsync(file) == 0;
  close(file);
  return written ? absl::OkStatus() : absl::UnavailableError("cannot write " + path);
}

// Runs `command` and returns what it prints.
absl::StatusOr<std::string> OutputOf(const std::string& command) {
  FILE* const pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return absl::UnavailableError(std::strerror(errno));
  std::string output;
  std::string buffer(kChunkBytes, '\0');
  while (const size_t count = fread(buffer.data(), 1, buffer.size(), pipe)) {
    output.append(buffer, 0, count);
  }
  if (const int status = pclose(pipe); status != 0) {
    return absl::UnavailableError(
        absl::StrCat("fio ended with status ", status, ": is the package fio installed?"));
  }
  return output;
}

}  // namespace

absl::StatusOr<ResultRow> ResultRowFromFio(absl::string_view output) {
  // fio may print notes before the object.
  output.remove_prefix(std::min(output.size(), output.find('{')));
  const auto json = nlohmann::json::parse(output.begin(), output.end(), nullptr, false);
  const auto number = [&json](const std::string& pointer) {
    const nlohmann::json::json_pointer place(pointer);
    return json.contains(place) && json[place].is_number() ? json[place].get<double>() : -1;
  };
  const std::string read = "/jobs/0/read";
  const std::string percentile = read + "/clat_ns/percentile/";
  constexpr double kNanosecondsPerMicrosecond = 1000;
  const ResultRow row{.ops_per_s = number(read + "/iops"),
                      .p50_us = number(percentile + "50.000000") / kNanosecondsPerMicrosecond,
                      .p99_us = number(percentile + "99.000000") / kNanosecondsPerMicrosecond,
                      .p999_us = number(percentile + "99.900000") / kNanosecondsPerMicrosecond,
                      .seconds = number(read + "/runtime") / 1000};
  for (const ResultField& field : ResultFields()) {
    if ((row.*field.member).value_or(0) < 0) {
      return absl::InvalidArgumentError(absl::StrCat("fio's output has no ", field.name));
    }
  }
  return row;
}

absl::StatusOr<ResultRow> MeasureDevice(const DeviceOptions& options) {
  const std::string path = options.directory + "/device";
  SLIP_RETURN_IF_ERROR(WriteRandomFile(path, options.file_bytes));
  // --readonly: fio must not lay out a file of its own, which it might only allocate.
  SLIP_ASSIGN_OR_RETURN(
      const std::string output,
      OutputOf(absl::StrCat("fio --name=device --filename='", path,
                            "' --readonly --rw=randread --norandommap --bs=4k --direct=1",
                            " --ioengine=psync --thread --group_reporting --numjobs=",
                            options.depth, " --time_based --runtime=", options.seconds,
                            " --percentile_list=50:99:99.9 --output-format=json")));
  return ResultRowFromFio(output);
}

}  // namespace slipstream::bench
