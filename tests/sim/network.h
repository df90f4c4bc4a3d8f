// Network: loses, duplicates, reorders and delays what is sent, and cuts links, as it is told.
#ifndef SLIPSTREAM_TESTS_SIM_NETWORK_H_
#define SLIPSTREAM_TESTS_SIM_NETWORK_H_

#include <cstddef>
#include <functional>
#include <map>
#include <set>
#include <utility>

#include "absl/time/time.h"
#include "base/random.h"
#include "tests/sim/scheduler.h"

namespace slipstream::sim {

// Nodes first, then clients.
using Endpoint = size_t;

struct NetworkOptions {
  double loss = 0;       // Fraction of messages that never arrive.
  double duplicate = 0;  // Fraction that arrive twice, if they may.
  absl::Duration delay_min = absl::Microseconds(50);
  absl::Duration delay_max = absl::Milliseconds(2);
  double tail = 0;  // Fraction that take up to delay_tail_max.
  absl::Duration delay_tail_max = absl::ZeroDuration();
};

enum class Duplicates { kNever, kPossible };

// Not thread-safe; owned by the simulation.
class Network {
 public:
  using Delivery = std::function<void()>;

  // `scheduler` must outlive the network.
  Network(Scheduler* scheduler, base::Random rng) : scheduler_(scheduler), rng_(rng) {}

  void set_options(const NetworkOptions& options) { options_ = options; }

  // Calls `deliver` when the message arrives: once, never, or twice if that is possible.
  void Send(Endpoint from, Endpoint to, Duplicates duplicates, const Delivery& deliver);

  // Cuts one direction of a link. What is under way on it is lost.
  void Cut(Endpoint from, Endpoint to) { cuts_.insert({from, to}); }
  void Mend(Endpoint from, Endpoint to) { cuts_.erase({from, to}); }
  // Adds a delay to one direction of a link; zero ends it.
  void Clog(Endpoint from, Endpoint to, absl::Duration delay);
  void MendAll();

 private:
  void SendOnce(Endpoint from, Endpoint to, const Delivery& deliver);
  absl::Duration Delay(Endpoint from, Endpoint to);

  Scheduler* const scheduler_;
  base::Random rng_;
  NetworkOptions options_;
  std::set<std::pair<Endpoint, Endpoint>> cuts_;
  std::map<std::pair<Endpoint, Endpoint>, absl::Duration> clogs_;
};

}  // namespace slipstream::sim

#endif  // SLIPSTREAM_TESTS_SIM_NETWORK_H_
