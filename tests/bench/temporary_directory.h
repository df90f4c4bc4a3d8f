// TemporaryDirectory: a directory that is removed with all it holds.
#ifndef SLIPSTREAM_TESTS_BENCH_TEMPORARY_DIRECTORY_H_
#define SLIPSTREAM_TESTS_BENCH_TEMPORARY_DIRECTORY_H_

#include <string>

namespace slipstream::bench {

// Not thread-safe.
class TemporaryDirectory {
 public:
  // Makes one in `parent`, which must exist and be writable.
  explicit TemporaryDirectory(const std::string& parent);
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace slipstream::bench

#endif  // SLIPSTREAM_TESTS_BENCH_TEMPORARY_DIRECTORY_H_
