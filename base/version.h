// Versions: who wrote a record and when, in the one order by which the last writer wins.
//
// The rule (DESIGN 6): a new write's HLC is above the clock's, above that of every record this node
// has applied, and above the client's token. Clients supply no timestamps. HLC: Kulkarni et al.,
// "Logical Physical Clocks" (OPODIS 2014).
#ifndef SLIPSTREAM_BASE_VERSION_H_
#define SLIPSTREAM_BASE_VERSION_H_

#include <atomic>
#include <compare>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace slipstream::base {

// A hybrid logical clock value: 48 bits of Unix milliseconds above 16 bits of counter. A number, so
// that it compares, prints and hashes as one; 0 is before every write.
using Hlc = uint64_t;

// Returns the smallest HLC of the millisecond that holds `time`; 0 for times before 1970, the
// greatest possible for times after the year 10889.
Hlc HlcFromTime(absl::Time time);

// Returns the millisecond part of `hlc` as a time.
absl::Time TimeFromHlc(Hlc hlc);

// One life of one node's data directory. Drawn at random when the directory is created, restored or
// found rolled back, so that a version or a dot is never given twice.
enum class ActorId : uint64_t {};

// The version of a record. Greater wins, everywhere. Unique: an actor never gives an HLC twice.
struct Version {
  Hlc hlc = 0;
  ActorId actor = ActorId{0};
  friend auto operator<=>(const Version&, const Version&) = default;
};

// Returns "<hlc>-<actor>", each as 16 lower-case hexadecimal digits: sorts as text like as a value.
std::string ToString(const Version& version);

// Parses the text of ToString. INVALID_ARGUMENT if it is anything else.
absl::StatusOr<Version> ParseVersion(absl::string_view text);

// Gives out HLCs. Thread-safe, lock-free.
class HybridClock {
 public:
  // Starts after `floor`, the greatest HLC known from the log.
  explicit HybridClock(Hlc floor) : last_(floor) {}

  // Returns an HLC above `now`'s millisecond start, above every HLC returned or observed before.
  // A wall clock that stands still or goes back only makes the counter grow. With a `count` (not 0)
  // the first of as many that follow each other and that nobody else is given.
  Hlc Next(absl::Time now, uint64_t count = 1);
  // Makes later results greater than `seen`.
  void Observe(Hlc seen);
  // Returns the greatest HLC returned or observed.
  Hlc last() const { return last_.load(std::memory_order_acquire); }

 private:
  std::atomic<Hlc> last_;
};

}  // namespace slipstream::base

#endif  // SLIPSTREAM_BASE_VERSION_H_
