#include "storage/keydir.h"

#include <algorithm>
#include <bit>

#include "base/check.h"

namespace slipstream::storage {

base::KeyRange RangeOfShard(uint8_t shard) {
  const base::KeyId shard_bits{.bytes = {shard}};
  return base::RangeOf(base::MakePrefix(shard_bits, 8));
}

// Which locks are held is data here, `mask`, and beyond what the thread-safety analysis can follow.
KeyDir::Exclusive::Exclusive(KeyDir* keydir, StripeMask mask) ABSL_NO_THREAD_SAFETY_ANALYSIS
    : keydir_(keydir),
      mask_(mask) {
  for (StripeMask rest = mask_; rest != 0; rest &= rest - 1) {
    keydir_->stripes_[std::countr_zero(rest)].mutex.Lock();
  }
}

KeyDir::Exclusive::~Exclusive() ABSL_NO_THREAD_SAFETY_ANALYSIS {
  for (StripeMask rest = mask_; rest != 0; rest &= rest - 1) {
    keydir_->stripes_[std::countr_zero(rest)].mutex.Unlock();
  }
}

KeyDir::Shard& KeyDir::Exclusive::shard(uint8_t shard) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  SLIP_CHECK((mask_ & StripeOf(shard)) != 0);
  return keydir_->stripes_[shard / kShardsPerStripe].shards[shard % kShardsPerStripe];
}

KeyDir::Lookup KeyDir::Find(const base::KeyId& key_id) {
  Stripe& stripe = stripes_[key_id.shard() / kShardsPerStripe];
  absl::MutexLock lock(&stripe.mutex);
  Shard& shard = stripe.shards[key_id.shard() % kShardsPerStripe];
  return {.located = shard.table.FindAndTouch(key_id), .complete = shard.complete};
}

void KeyDir::Visit(const base::KeyRange& range,
                   absl::FunctionRef<bool(const LocatedEntry&)> visit) {
  for (int index = range.first.shard(); index <= range.last.shard(); ++index) {
    // The part of the range that lies in this shard.
    base::KeyRange part = RangeOfShard(static_cast<uint8_t>(index));
    part.first = std::max(part.first, range.first);
    part.last = std::min(part.last, range.last);
    Stripe& stripe = stripes_[index / kShardsPerStripe];
    absl::MutexLock lock(&stripe.mutex);
    if (!stripe.shards[index % kShardsPerStripe].table.Visit(part, visit)) return;
  }
}

void KeyDir::Clear() {
  for (Stripe& stripe : stripes_) {
    absl::MutexLock lock(&stripe.mutex);
    for (Shard& shard : stripe.shards) {
      shard.table.Clear();
      shard.last_sequence = 0;
      shard.complete = true;
    }
  }
}

KeyDirStats KeyDir::stats() {
  KeyDirStats stats;
  for (Stripe& stripe : stripes_) {
    absl::MutexLock lock(&stripe.mutex);
    stats.bytes += sizeof(Stripe) - sizeof(stripe.shards);
    for (const Shard& shard : stripe.shards) {
      stats.live_count += shard.table.live_count();
      stats.tombstone_count += shard.table.tombstone_count();
      stats.damaged_count += shard.table.damaged_count();
      stats.dirty_count += shard.table.dirty_count();
      stats.complete = stats.complete && shard.complete;
      stats.bytes += shard.table.bytes() + sizeof(Shard) - sizeof(KeyDirShard);
    }
  }
  return stats;
}

}  // namespace slipstream::storage
