#include "tests/sim/checkers/log_checker.h"

#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/random.h"
#include "storage/engine.h"
#include "storage/memory_file_system.h"
#include "tests/sim/checkers/dump.h"

namespace slipstream::sim {

void LogChecker::OnQuiesced(const std::vector<RestingNode>& nodes) {
  for (size_t node = 0; node < nodes.size(); ++node) {
    if (damaged_.count(node) > 0) continue;
    storage::Engine& engine = nodes[node].replica->engine();
    if (!engine.Flush(storage::Engine::FlushMode::kSync).ok()) {
      failures_->Report(
          "P8 recovery",
          absl::StrCat("node ", node, " cannot flush at rest: ", engine.status().message()));
      return;
    }
    const std::unique_ptr<storage::MemoryFileSystem> copy = nodes[node].disk->Clone();
    base::Random rng(node);
    const absl::StatusOr<std::unique_ptr<storage::Engine>> reopened = storage::Engine::Open(
        copy.get(), nodes[node].directory, nodes[node].replica->options().storage, &rng, nullptr);
    if (!reopened.ok()) {
      failures_->Report(
          "P8 recovery",
          absl::StrCat("a copy of node ", node, " does not open: ", reopened.status().message()));
      return;
    }
    if (EntriesOf(**reopened) != EntriesOf(engine)) {
      failures_->Report("P8 recovery",
                        absl::StrCat("node ", node, " has ", EntriesOf(engine).size(),
                                     " entries, and others than the ", EntriesOf(**reopened).size(),
                                     " of its log"));
    }
  }
}

}  // namespace slipstream::sim
