#include "tests/bench/engine/open_engine.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "tests/bench/engine/leveldb.h"
#include "tests/bench/engine/lmdb.h"
#include "tests/bench/engine/slipstream.h"
#include "tests/bench/engine/tkrzw.h"

namespace slipstream::bench {

absl::StatusOr<std::unique_ptr<EngineUnderTest>> OpenEngine(absl::string_view name,
                                                            const EngineOptions& options) {
  if (name == kSlipstream) return OpenSlipstream(options);
  if (name == kLevelDb) return OpenLevelDb(options);
  if (name == kLmdb) return OpenLmdb(options);
  if (name == kTkrzw) return OpenTkrzw(options);
  return absl::InvalidArgumentError(absl::StrCat("no engine \"", name, "\""));
}

}  // namespace slipstream::bench
