#include "storage/keydir.h"

#include <algorithm>
#include <bit>

#include "base/check.h"

namespace slipstream::storage {

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

absl::optional<LocatedEntry> KeyDir::Find(const base::KeyId& key_id) {
  Stripe& stripe = stripes_[key_id.shard() / kShardsPerStripe];
  absl::MutexLock lock(&stripe.mutex);
  return stripe.shards[key_id.shard() % kShardsPerStripe].table.Find(key_id);
}

void KeyDir::Visit(const base::KeyRange& range,
                   absl::FunctionRef<bool(const LocatedEntry&)> visit) {
  for (int index = range.first.shard(); index <= range.last.shard(); ++index) {
    // The part of the range that lies in this shard.
    const base::KeyId shard_bits{.bytes = {static_cast<uint8_t>(index)}};
    base::KeyRange part = base::RangeOf(base::MakePrefix(shard_bits, 8));
    part.first = std::max(part.first, range.first);
    part.last = std::min(part.last, range.last);
    Stripe& stripe = stripes_[index / kShardsPerStripe];
    absl::MutexLock lock(&stripe.mutex);
    if (!stripe.shards[index % kShardsPerStripe].table.Visit(part, visit)) return;
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
      stats.bytes += shard.table.bytes() + sizeof(Shard) - sizeof(KeyDirShard);
    }
  }
  return stats;
}

}  // namespace slipstream::storage
