// Damage: bits that flip on a disk at rest, and the look at what a node makes of it.
#ifndef SLIPSTREAM_TESTS_SIM_DAMAGE_H_
#define SLIPSTREAM_TESTS_SIM_DAMAGE_H_

#include <cstddef>
#include <functional>

#include "base/random.h"
#include "tests/sim/node_host.h"
#include "tests/sim/world.h"

namespace slipstream::sim {

// Flips `flip_count` random bits of what is written in the host's log; of a host that scrubs, in
// segments that take no more frames.
void FlipBits(NodeHost& host, size_t flip_count, base::Random& rng);

// Reads all records of the host before and after `damage` and reports, as a breach of P2, each that
// is neither what it was nor refused. A node that started anew meanwhile may be left with an older
// one, if the damage was to what came after. If the host scrubs, it does so after `damage`, and no
// read may find damage then.
void CheckReadsAcross(NodeHost& host, World& world, const std::function<void()>& damage);

}  // namespace slipstream::sim

#endif  // SLIPSTREAM_TESTS_SIM_DAMAGE_H_
