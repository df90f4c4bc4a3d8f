// Client: writes, overwrites, deletes and reads a few keys, one request at a time.
//
// It waits for each answer for a while and then goes on, not knowing what became of the request.
#ifndef SLIPSTREAM_TESTS_SIM_CLIENT_H_
#define SLIPSTREAM_TESTS_SIM_CLIENT_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/random.h"
#include "tests/sim/network.h"
#include "tests/sim/node_host.h"
#include "tests/sim/world.h"

namespace slipstream::sim {

struct ClientConfig {
  size_t key_count = 10;  // Shared by all clients.
  size_t value_noise_bytes_max = 300;
  absl::Duration pause_max = absl::Milliseconds(60);  // Between requests.
  absl::Duration timeout = absl::Seconds(1);
};

// Not thread-safe; owned by the simulation, which must outlive all that was scheduled.
class Client {
 public:
  // `world` must outlive the client; so must `hosts`. `endpoint` is its own in the network.
  Client(Endpoint endpoint, const ClientConfig& config, std::vector<NodeHost*> hosts, World* world,
         base::Random rng);

  void Start() { Continue(); }
  // Lets the request under way end, and makes no more.
  void Stop() { is_stopped_ = true; }
  // Requests that were answered.
  uint64_t answered_count() const { return answered_count_; }

 private:
  // Waits a little, then makes the next request.
  void Continue();
  void MakeRequest();
  void Write(size_t node, size_t operation_count, storage::Atomicity atomicity);
  void Read(size_t node);
  // What the node calls when its answer may leave.
  std::function<void(const absl::Status&)> ReplyFrom(size_t node, uint64_t request);
  void OnReply(uint64_t request);
  std::string RandomKey();

  const Endpoint endpoint_;
  const ClientConfig config_;
  const std::vector<NodeHost*> hosts_;
  World* const world_;
  base::Random rng_;
  size_t node_ = 0;  // Where it likes to go.
  uint64_t request_ = 0;
  bool is_stopped_ = false;
  uint64_t answered_count_ = 0;
};

}  // namespace slipstream::sim

#endif  // SLIPSTREAM_TESTS_SIM_CLIENT_H_
