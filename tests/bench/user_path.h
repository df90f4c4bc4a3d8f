// UserPath: what a path means that a user wrote behind `bazel run`.
#ifndef SLIPSTREAM_TESTS_BENCH_USER_PATH_H_
#define SLIPSTREAM_TESTS_BENCH_USER_PATH_H_

#include <string>

namespace slipstream::bench {

// Returns `path`, if it is relative, as seen from where the user typed `bazel run`, which starts a
// program elsewhere. As it is without Bazel.
std::string UserPath(const std::string& path);

}  // namespace slipstream::bench

#endif  // SLIPSTREAM_TESTS_BENCH_USER_PATH_H_
