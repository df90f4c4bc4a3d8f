#include "storage/value_cache.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <new>

#include "base/check.h"
#include "storage/heap_bytes.h"

namespace slipstream::storage {

// Followed by the key and the value.
struct ValueCache::Item {
  Item* chain_next;
  Item* queue_next;
  uint64_t number;  // Of its location.
  uint32_t key_bytes;
  uint32_t value_bytes;
  uint32_t use_count;  // Reads since it entered its queue, up to kUseCountMax.

  char* key() { return reinterpret_cast<char*>(this + 1); }
  char* value() { return key() + key_bytes; }
};

namespace {

constexpr uint32_t kUseCountMax = 3;
// An item that was read as often in the small queue goes on to the main one.
constexpr uint32_t kUseCountToStay = 2;
// The small queue's share of a part.
constexpr uint64_t kSmallQueueDivisor = 10;
// One slot of the index and one ghost for so many bytes: together a sixteenth of the part.
constexpr uint64_t kBytesPerSlot = 256;
constexpr uint64_t kSlotBytes = 2 * sizeof(uint64_t);

// A location as one number; 0 is no location, as segments count from 1.
uint64_t NumberOf(const Location& location) {
  return uint64_t{location.segment_number} << 32 | location.offset;
}

size_t SlotOf(uint64_t number, size_t slot_count) {
  // The high bits of a product depend on all bits of its factors (Knuth's multiplicative hash).
  return (number * 0x9e37'79b9'7f4a'7c15 >> 32) & (slot_count - 1);
}

}  // namespace

void ValueCache::Queue::Push(Item* item) {
  item->queue_next = nullptr;
  (newest == nullptr ? oldest : newest->queue_next) = item;
  newest = item;
  bytes += HeapBytes(sizeof(Item) + item->key_bytes + item->value_bytes);
}

ValueCache::Item* ValueCache::Queue::Pop() {
  Item* const item = oldest;
  oldest = item->queue_next;
  if (oldest == nullptr) newest = nullptr;
  bytes -= HeapBytes(sizeof(Item) + item->key_bytes + item->value_bytes);
  return item;
}

ValueCache::ValueCache(uint64_t bytes_max)
    : part_bytes_max_(bytes_max / kPartCount),
      slot_count_(std::bit_floor(std::max<uint64_t>(1, part_bytes_max_ / kBytesPerSlot))) {
  static_assert(sizeof(Item) == 40);
}

ValueCache::~ValueCache() {
  for (Part& part : parts_) {
    absl::MutexLock lock(&part.mutex);
    while (part.small.oldest != nullptr) std::free(part.small.Pop());
    while (part.main.oldest != nullptr) std::free(part.main.Pop());
  }
}

ValueCache::Item** ValueCache::ChainOf(Part& part, uint64_t number) {
  return &part.index[SlotOf(number, slot_count_)];
}

ValueCache::Item* ValueCache::FindItem(Part& part, uint64_t number) {
  if (part.index.empty()) return nullptr;
  Item* item = *ChainOf(part, number);
  while (item != nullptr && item->number != number) item = item->chain_next;
  return item;
}

absl::optional<std::string> ValueCache::Find(const Place& place, absl::string_view key) {
  Part& part = PartOf(place.key_id);
  absl::MutexLock lock(&part.mutex);
  Item* const item = FindItem(part, NumberOf(place.location));
  if (item == nullptr || absl::string_view(item->key(), item->key_bytes) != key) {
    ++part.miss_count;
    return absl::nullopt;
  }
  ++part.hit_count;
  item->use_count = std::min(item->use_count + 1, kUseCountMax);
  return std::string(item->value(), item->value_bytes);
}

void ValueCache::InsertIfRoom(const Place& place, absl::string_view key, absl::string_view value) {
  if (!PartOf(place.key_id).was_full.load(std::memory_order_relaxed)) Insert(place, key, value);
}

void ValueCache::Insert(const Place& place, absl::string_view key, absl::string_view value) {
  const uint64_t item_bytes = HeapBytes(sizeof(Item) + key.size() + value.size());
  if (item_bytes > part_bytes_max_ / kItemsPerPartMin) return;
  const uint64_t number = NumberOf(place.location);
  // Filled before the lock is taken.
  void* const memory = std::malloc(sizeof(Item) + key.size() + value.size());
  SLIP_CHECK(memory != nullptr);
  Item* const item = new (memory) Item{.chain_next = nullptr,
                                       .queue_next = nullptr,
                                       .number = number,
                                       .key_bytes = static_cast<uint32_t>(key.size()),
                                       .value_bytes = static_cast<uint32_t>(value.size()),
                                       .use_count = 0};
  std::copy(key.begin(), key.end(), item->key());
  std::copy(value.begin(), value.end(), item->value());
  Part& part = PartOf(place.key_id);
  absl::MutexLock lock(&part.mutex);
  if (FindItem(part, number) != nullptr) {  // By another reader, meanwhile.
    std::free(memory);
    return;
  }
  if (part.index.empty()) {
    part.index.resize(slot_count_);
    part.ghosts.resize(slot_count_);
  }
  while (BytesOf(part) + item_bytes > part_bytes_max_) {
    part.was_full.store(true, std::memory_order_relaxed);
    EvictOne(part);
  }
  uint64_t& ghost = part.ghosts[SlotOf(number, slot_count_)];
  if (ghost == number) {
    ghost = 0;
    part.main.Push(item);
  } else {
    part.small.Push(item);
  }
  Item** const chain = ChainOf(part, number);
  item->chain_next = *chain;
  *chain = item;
}

uint64_t ValueCache::BytesOf(const Part& part) const {
  const uint64_t slots = part.index.empty() ? 0 : slot_count_ * kSlotBytes + 32;
  return part.small.bytes + part.main.bytes + slots;
}

void ValueCache::EvictOne(Part& part) {
  const bool small_is_full = part.small.bytes > part_bytes_max_ / kSmallQueueDivisor;
  if (part.small.oldest != nullptr && (small_is_full || part.main.oldest == nullptr)) {
    EvictFromSmall(part);
  } else {
    SLIP_CHECK(part.main.oldest != nullptr);
    EvictFromMain(part);
  }
}

// Frees the oldest, or moves it on if it was read again; then nothing is freed yet.
void ValueCache::EvictFromSmall(Part& part) {
  Item* const item = part.small.Pop();
  if (item->use_count >= kUseCountToStay) {
    item->use_count = 0;
    part.main.Push(item);
    return;
  }
  part.ghosts[SlotOf(item->number, slot_count_)] = item->number;
  Drop(part, item);
}

// Frees the oldest that was not read since it was last here. Ends: each turn takes one use away.
void ValueCache::EvictFromMain(Part& part) {
  while (part.main.oldest->use_count > 0) {
    Item* const item = part.main.Pop();
    --item->use_count;
    part.main.Push(item);
  }
  Drop(part, part.main.Pop());
}

void ValueCache::Unchain(Part& part, Item* item) {
  Item** link = ChainOf(part, item->number);
  while (*link != item) link = &(*link)->chain_next;
  *link = item->chain_next;
}

void ValueCache::Drop(Part& part, Item* item) {
  Unchain(part, item);
  std::free(item);
}

void ValueCache::Move(const Place& from, const Location& to) {
  if (!is_on()) return;
  const uint64_t number = NumberOf(to);
  Part& part = PartOf(from.key_id);
  absl::MutexLock lock(&part.mutex);
  Item* const item = FindItem(part, NumberOf(from.location));
  if (item == nullptr || FindItem(part, number) != nullptr) return;
  Unchain(part, item);
  item->number = number;
  Item** const chain = ChainOf(part, number);
  item->chain_next = *chain;
  *chain = item;
}

ValueCacheStats ValueCache::stats() {
  ValueCacheStats stats;
  for (Part& part : parts_) {
    absl::MutexLock lock(&part.mutex);
    stats.hit_count += part.hit_count;
    stats.miss_count += part.miss_count;
    stats.bytes += BytesOf(part);
  }
  return stats;
}

}  // namespace slipstream::storage
