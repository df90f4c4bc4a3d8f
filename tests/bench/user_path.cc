#include "tests/bench/user_path.h"

#include <cstdlib>
#include <filesystem>

namespace slipstream::bench {

std::string UserPath(const std::string& path) {
  const char* const typed_in = std::getenv("BUILD_WORKING_DIRECTORY");
  if (typed_in == nullptr) return path;
  return (std::filesystem::path(typed_in) / path).string();
}

}  // namespace slipstream::bench
