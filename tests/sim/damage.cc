#include "tests/sim/damage.h"

#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/key_id.h"
#include "storage/engine.h"
#include "storage/entry.h"
#include "storage/file_system.h"
#include "storage/memory_file_system.h"
#include "storage/segment.h"
#include "tests/sim/checkers/dump.h"

namespace slipstream::sim {

void FlipBits(NodeHost& host, size_t flip_count, base::Random& rng) {
  const RestingNode node = host.resting();
  // Of each segment in use its path and the length of what is written in it.
  std::vector<std::pair<std::string, size_t>> segments;
  const auto names = node.disk->ListDirectory(node.directory);
  SLIP_CHECK_OK(names.status());
  for (const std::string& name : *names) {
    if (!storage::ParseSegmentFileName(name).has_value()) continue;
    std::string path = storage::JoinPath(node.directory, name);
    const std::string contents = node.disk->Contents(path);
    const bool is_in_use =
        storage::DecodeSegmentHeader(contents.substr(0, storage::kPageBytes)).ok();
    if (!is_in_use) continue;
    const size_t last = contents.find_last_not_of('\0');
    if (last != std::string::npos) segments.emplace_back(std::move(path), last + 1);
  }
  // Where it still writes, nobody scrubs.
  if (host.scrubs() && !segments.empty()) segments.pop_back();
  if (segments.empty()) return;
  for (size_t index = 0; index < flip_count; ++index) {
    const auto& [path, bytes] = segments[rng.Below(segments.size())];
    node.disk->FlipBit(path, rng.Below(bytes), static_cast<int>(rng.Below(8)));
  }
}

void CheckReadsAcross(NodeHost& host, World& world, const std::function<void()>& damage) {
  std::map<base::KeyId, storage::Record> before;
  for (const storage::Entry& entry : EntriesOf(host.resting().replica->engine())) {
    const auto record = host.resting().replica->engine().GetRecord(entry.key_id, nullptr);
    if (record.ok()) before[entry.key_id] = *record;
  }
  const uint64_t life = host.life();
  damage();
  const bool starts_anew = host.life() != life;
  if (!host.is_up()) return;  // Why it does not open was reported.
  storage::Engine& engine = host.resting().replica->engine();
  if (host.scrubs()) host.ScrubAll();
  for (const storage::Entry& entry : EntriesOf(engine)) {
    const absl::StatusOr<storage::Record> record = engine.GetRecord(entry.key_id, nullptr);
    if (absl::IsDataLoss(record.status())) {
      if (!host.scrubs()) continue;
      world.failures.Report("P2 scrub", absl::StrCat("a read finds damage after scrubbing: ",
                                                     record.status().ToString()));
      return;
    }
    const storage::Record& old = before[entry.key_id];
    if (record.ok() && (*record == old || (starts_anew && record->version < old.version))) continue;
    world.failures.Report(
        "P2 integrity", absl::StrCat("of a damaged disk ", Describe(old), " is read as ",
                                     record.ok() ? Describe(*record) : record.status().ToString()));
  }
}

}  // namespace slipstream::sim
