// NodeSummary: what nodes tell each other of themselves at every exchange.
#ifndef SLIPSTREAM_GOSSIP_NODE_SUMMARY_H_
#define SLIPSTREAM_GOSSIP_NODE_SUMMARY_H_

#include <cstdint>
#include <string>

#include "base/digest.h"
#include "base/version.h"

namespace slipstream::gossip {

// A node at one moment.
struct NodeSummary {
  uint64_t node_id = 0;  // Of its data directory, the same in all its lives.
  base::ActorId actor = base::ActorId{0};
  std::string name;
  base::Digest root;
  uint64_t key_count = 0;  // Live keys: those under `root`.
  base::Hlc hlc = 0;       // The greatest it has given or seen.
};

}  // namespace slipstream::gossip

#endif  // SLIPSTREAM_GOSSIP_NODE_SUMMARY_H_
