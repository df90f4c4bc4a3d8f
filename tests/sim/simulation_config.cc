#include "tests/sim/simulation_config.h"

#include "absl/strings/str_cat.h"
#include "storage/options.h"

namespace slipstream::sim {
namespace {

absl::Duration DurationBetween(absl::Duration min, absl::Duration max, base::Random& rng) {
  return min + (max - min) * rng.Fraction();
}

storage::SyncPolicy DrawSyncPolicy(base::Random& rng) {
  switch (rng.Below(10)) {
    case 0:
      return storage::SyncPolicy::kInterval;
    case 1:
      return storage::SyncPolicy::kNone;
    default:
      return storage::SyncPolicy::kAlways;
  }
}

// The same for all nodes of a run. Small, so that every bound is met.
node::ReplicaOptions DrawReplicaOptions(size_t node_count, base::Random& rng) {
  node::ReplicaOptions options;
  for (size_t index = 0; index < node_count; ++index) {
    options.peers.push_back(absl::StrCat("node", index));
  }
  options.gossip_interval = DurationBetween(absl::Milliseconds(200), absl::Seconds(1), rng);
  options.call_timeout = DurationBetween(absl::Milliseconds(300), absl::Seconds(3), rng);
  options.sessions_max = 1 + rng.Below(2);
  if (rng.OneIn(2)) options.message_bytes_max = 4096 + rng.Below(16 << 10);
  if (rng.OneIn(3)) options.push_queue_bytes_max = rng.Below(4096);
  options.push_calls_max = 1 + rng.Below(2);
  options.storage.sync = DrawSyncPolicy(rng);
  options.storage.limits = {.key_bytes_max = 64,
                            .value_bytes_max = 16 << 10,
                            .batch_operations_max = 20,
                            .batch_bytes_max = 48 << 10};
  options.storage.segment_bytes = (64 + 4 * rng.Below(64)) << 10;
  options.storage.frame_bytes_target = 4096 << rng.Below(4);
  options.storage.unflushed_bytes_max = rng.Below(64 << 10);
  // Half of the clusters have no memory for entries, and most write checkpoints all the time.
  if (rng.OneIn(2)) options.storage.memory_limit_bytes = 1;
  if (!rng.OneIn(4)) options.storage.checkpoint_bytes = (4 + rng.Below(256)) << 10;
  options.storage.value_cache_bytes = 256 << 10;
  return options;
}

}  // namespace

SimulationConfig DrawConfig(base::Random& rng) {
  SimulationConfig config;
  const size_t node_count = 3 + rng.Below(3);
  const node::ReplicaOptions options = DrawReplicaOptions(node_count, rng);
  const absl::Duration flush_delay_max =
      rng.OneIn(8) ? absl::Milliseconds(200) : absl::Milliseconds(1 + rng.Below(10));
  for (size_t index = 0; index < node_count; ++index) {
    NodeConfig node{.replica = options, .flush_delay_max = flush_delay_max};
    node.replica.name = absl::StrCat("name", index);
    node.clock_offset =
        config.nemesis.clock_offset_max * (2 * rng.Fraction() - 1) * (rng.OneIn(2) ? 1 : 0.01);
    node.clock_drift = (2 * rng.Fraction() - 1) * 0.01;
    config.nodes.push_back(node);
  }
  config.client_count = 2 + rng.Below(4);
  config.client.key_count = 2 + rng.Below(rng.OneIn(2) ? 6 : 60);
  config.client.pause_max = absl::Milliseconds(5 + rng.Below(100));
  config.network.delay_max = absl::Milliseconds(1 + rng.Below(10));
  if (rng.OneIn(2)) config.network.loss = rng.Fraction() * 0.1;
  if (rng.OneIn(2)) config.network.duplicate = rng.Fraction() * 0.1;
  if (rng.OneIn(2)) {
    config.network.tail = 0.02;
    config.network.delay_tail_max = absl::Seconds(1);
  }
  config.nemesis.gap_max = DurationBetween(absl::Milliseconds(200), absl::Seconds(3), rng);
  // Each run its own mixture: some faults are found only where others are rare.
  FaultWeights& weights = config.nemesis.weights;
  for (uint64_t* const weight :
       {&weights.power_loss, &weights.kill, &weights.pause, &weights.isolation,
        &weights.one_way_cut, &weights.partial_partition, &weights.clog, &weights.disk_failure}) {
    *weight = rng.OneIn(4) ? 0 : 1 + rng.Below(4);
  }
  weights.pause += 1;  // One at least must be possible.
  config.fault_duration = DurationBetween(absl::Seconds(1), absl::Seconds(6), rng);
  if (rng.OneIn(2)) config.flip_count = 1 + rng.Below(8);
  config.restarts_damaged = rng.OneIn(2);
  if (rng.OneIn(2)) {
    for (NodeConfig& node : config.nodes) node.scrubs = true;
  }
  return config;
}

}  // namespace slipstream::sim
