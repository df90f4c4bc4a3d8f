#include "tests/bench/temporary_directory.h"

#include <stdlib.h>

#include <filesystem>
#include <system_error>

#include "base/check.h"

namespace slipstream::bench {

TemporaryDirectory::TemporaryDirectory(const std::string& parent)
    : path_(parent + "/slipstream-XXXXXX") {
  SLIP_CHECK(mkdtemp(path_.data()) != nullptr);
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace slipstream::bench
