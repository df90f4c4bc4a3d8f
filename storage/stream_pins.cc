#include "storage/stream_pins.h"

#include <algorithm>

namespace slipstream::storage {

void StreamPins::Expect(uint64_t tx_id, uint64_t first_number) {
  absl::MutexLock lock(&mutex_);
  pins_[tx_id].from = first_number;
}

void StreamPins::Settle(uint64_t tx_id, const std::set<uint64_t>& numbers) {
  absl::MutexLock lock(&mutex_);
  Pin& pin = pins_[tx_id];
  pin.numbers.insert(numbers.begin(), numbers.end());
  pin.from = std::numeric_limits<uint64_t>::max();
}

void StreamPins::Release(uint64_t tx_id) {
  absl::MutexLock lock(&mutex_);
  pins_.erase(tx_id);
}

bool StreamPins::Pins(uint64_t segment_number) const {
  absl::MutexLock lock(&mutex_);
  return std::any_of(pins_.begin(), pins_.end(), [segment_number](const auto& each) {
    const Pin& pin = each.second;
    return pin.from <= segment_number || pin.numbers.count(segment_number) != 0;
  });
}

}  // namespace slipstream::storage
