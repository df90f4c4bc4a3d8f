// NodeHost: a replica with all that the server gives it, but false: time, a disk, peers, clients.
//
// It keeps the output rule as the server does: what depends on a record leaves when the record is
// durable. It can crash, with or without losing power, pause, and start again on the same disk.
#ifndef SLIPSTREAM_TESTS_SIM_NODE_HOST_H_
#define SLIPSTREAM_TESTS_SIM_NODE_HOST_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/random.h"
#include "node/replica.h"
#include "node/replica_types.h"
#include "storage/entry.h"
#include "storage/memory_file_system.h"
#include "storage/options.h"
#include "tests/sim/checkers/checker.h"
#include "tests/sim/node_clock.h"
#include "tests/sim/world.h"

namespace slipstream::sim {

struct NodeConfig {
  node::ReplicaOptions replica;
  absl::Duration clock_offset;
  double clock_drift = 0;
  absl::Duration flush_delay_max = absl::Milliseconds(5);  // Of each of its two halves.
  bool scrubs = false;                                     // Searches for damage all the time.
};

enum class Death {
  kKill,       // The disk keeps what was written to it.
  kPowerLoss,  // It loses or tears what was not synced.
};

struct ClientWrite {
  storage::Atomicity atomicity = storage::Atomicity::kAll;
  std::vector<uint64_t> operation_ids;
  std::vector<storage::Mutation::Kind> kinds;
  std::vector<std::string> keys;
  std::vector<std::string> values;
};

// Not thread-safe; owned by the simulation, which must outlive all that was scheduled.
class NodeHost {
 public:
  // `world` must outlive the host.
  NodeHost(size_t index, const NodeConfig& config, World* world, base::Random rng);

  // The hosts of all nodes, in the order of their indexes.
  void Connect(const std::vector<NodeHost*>& hosts) { hosts_ = hosts; }

  // Does nothing if it is up. A directory that does not open is a failure.
  void Start();
  // Does nothing if it is down.
  void Crash(Death death);
  // Nothing reaches the node and it does nothing until then.
  void PauseUntil(absl::Time time) { paused_until_ = time; }

  // What its next starts do about a damaged log.
  void set_on_damage(storage::OnDamage on_damage) { options_.storage.on_damage = on_damage; }

  // Changes with every start and every end.
  uint64_t life() const { return life_; }
  bool is_up() const { return replica_ != nullptr; }
  // What its own clock shows.
  absl::Time Now() const { return clock_.Read(world_->scheduler.now()); }
  NodeClock& clock() { return clock_; }
  storage::MemoryFileSystem& disk() { return disk_; }
  RestingNode resting() { return {.replica = replica_.get(), .disk = &disk_, .directory = "data"}; }

  // A client's requests, on their arrival; `reply` is called at most once, when it may leave.
  void Write(const ClientWrite& write, std::function<void(const absl::Status&)> reply);
  void Read(const std::string& key, std::function<void(const absl::Status&)> reply);
  // Lets the checkers have a look.
  void Glance();

  bool scrubs() const { return scrubs_; }
  // Searches all there is for damage, if it is up.
  void ScrubAll();

 private:
  using Action = std::function<void()>;

  // A call of this node under way.
  struct PendingCall {
    size_t kind = 0;
    size_t request_bytes = 0;
  };

  // Runs `action` after `delay`, if this life still lasts; when it is paused then, after the pause.
  void Later(absl::Duration delay, Action action);
  void RunUnpaused(uint64_t life, Action action);
  // Runs `action` once `lsn` is durable.
  void WhenDurable(storage::Lsn lsn, Action action);

  void ScheduleFlush();
  void Flush(storage::Engine::FlushMode mode);
  // What the server does from time to time: sync, and a step of background work.
  void RunBackground();
  // Takes a step of the search for damage.
  absl::StatusOr<node::ScrubStep> Scrub();
  // The engine has failed: the process leaves and is started anew.
  void Fail(const absl::Status& status);

  // Ticks if something is due, and sees to it that the next tick comes.
  void Pump();
  void SendCalls(node::Outbox outbox);
  void SendCall(node::PeerCall call);
  void OnRequest(size_t from, uint64_t life, node::CallId call_id, size_t kind,
                 const std::string& bytes);
  void SendResponse(size_t to, uint64_t life, node::CallId call_id,
                    const absl::StatusOr<node::PeerResponse>& response);
  void OnResponse(node::CallId call_id, const absl::StatusOr<std::string>& bytes);
  void EndCall(node::CallId call_id, absl::StatusOr<node::PeerResponse> response,
               size_t response_bytes);
  void Record(absl::string_view what, uint64_t a, uint64_t b, absl::string_view text = "");

  const size_t index_;
  node::ReplicaOptions options_;
  const absl::Duration flush_delay_max_;
  const bool scrubs_;
  World* const world_;
  base::Random rng_;  // Of the host: delays and crashes.
  base::Random replica_rng_;
  NodeClock clock_;
  storage::MemoryFileSystem disk_;
  std::vector<NodeHost*> hosts_;
  std::unique_ptr<node::Replica> replica_;  // Null while it is down.
  uint64_t life_ = 0;
  absl::Time paused_until_ = absl::InfinitePast();

  // Of this life.
  std::map<node::CallId, PendingCall> calls_;
  std::multimap<storage::Lsn, Action> waiting_;  // By what must be durable.
  bool flush_is_scheduled_ = false;
  uint64_t timer_ = 0;  // Only the timer set last counts.
};

}  // namespace slipstream::sim

#endif  // SLIPSTREAM_TESTS_SIM_NODE_HOST_H_
