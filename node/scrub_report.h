// What scrubbing found, in words for the daemon's log.
#ifndef SLIPSTREAM_NODE_SCRUB_REPORT_H_
#define SLIPSTREAM_NODE_SCRUB_REPORT_H_

#include <string>
#include <vector>

#include "node/replica_types.h"

namespace slipstream::node {

enum class Healers { kPeers, kNone };

// Returns a sentence for each thing that `step` found; none if it found nothing. `healers`: whether
// there are peers that may have what was lost.
std::vector<std::string> ScrubInWords(const ScrubStep& step, Healers healers);

}  // namespace slipstream::node

#endif  // SLIPSTREAM_NODE_SCRUB_REPORT_H_
