#include "storage/keydir_shard.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <type_traits>

#include "absl/strings/str_format.h"
#include "base/check.h"
#include "base/coding.h"

namespace slipstream::storage {

// One entry in 80 bytes.
struct KeyDirShard::PackedEntry {
  base::KeyId key_id;
  base::ValueDigest value_digest;
  base::Hlc hlc;
  uint64_t sequence;
  uint64_t expires_at_ms;
  Location location;
  uint32_t record_bytes;
  uint16_t actor_index;
  bool tombstone;
  bool damaged;
};

// A sorted array that grows in small steps: half a step is wasted on average.
struct KeyDirShard::Bucket {
  PackedEntry* entries = nullptr;
  uint32_t count = 0;
  uint32_t capacity = 0;

  const PackedEntry* end() const { return entries + count; }
};

namespace {

constexpr uint32_t kGrowthStep = 4;
// One bucket is split per insertion while there are more entries than this per bucket: fewer, and
// the buckets' own cost grows; more, and an insertion moves more bytes.
constexpr uint64_t kEntriesPerBucketTarget = 16;
// What the allocator keeps beside each array.
constexpr uint64_t kAllocationOverheadBytes = 16;
// Bits of a key_id that can choose a bucket.
constexpr int kLevelMax = 48;

// Returns the 64 bits of `key_id` after its shard byte, the first of them lowest.
uint64_t ReversedBits(const base::KeyId& key_id) {
  return __builtin_bitreverse64(base::LoadBig64(key_id.bytes.data() + 1));
}

// Returns the low `count` bits of `bits` in reverse order.
size_t ReverseLow(uint64_t bits, int count) {
  return count == 0 ? 0 : __builtin_bitreverse64(bits) >> (64 - count);
}

// Returns the first `count` bits of `key_id` after its shard byte as a number, 0 <= count < 64.
uint64_t LeadingBits(const base::KeyId& key_id, int count) {
  return count == 0 ? 0 : base::LoadBig64(key_id.bytes.data() + 1) >> (64 - count);
}

bool IdBefore(const base::KeyId& a, const base::KeyId& b) {
  return std::memcmp(a.bytes.data(), b.bytes.data(), base::kKeyIdBytes) < 0;
}

}  // namespace

KeyDirShard::KeyDirShard() : buckets_(1) {
  static_assert(sizeof(PackedEntry) == 80);
  static_assert(std::is_trivially_copyable_v<PackedEntry>, "arrays of it are moved by realloc");
}

KeyDirShard::~KeyDirShard() {
  for (Bucket& bucket : buckets_) std::free(bucket.entries);
}

size_t KeyDirShard::BucketIndex(const base::KeyId& key_id) const {
  const uint64_t bits = ReversedBits(key_id);
  const size_t index = bits & ((size_t{1} << level_) - 1);
  return index < split_ ? bits & ((size_t{2} << level_) - 1) : index;
}

const KeyDirShard::PackedEntry* KeyDirShard::FindPacked(const base::KeyId& key_id) const {
  const Bucket& bucket = buckets_[BucketIndex(key_id)];
  const PackedEntry* const found = std::lower_bound(
      bucket.entries, bucket.entries + bucket.count, key_id,
      [](const PackedEntry& entry, const base::KeyId& id) { return IdBefore(entry.key_id, id); });
  return found != bucket.end() && found->key_id == key_id ? found : nullptr;
}

KeyDirShard::PackedEntry* KeyDirShard::FindPacked(const base::KeyId& key_id) {
  return const_cast<PackedEntry*>(static_cast<const KeyDirShard*>(this)->FindPacked(key_id));
}

absl::optional<LocatedEntry> KeyDirShard::Find(const base::KeyId& key_id) const {
  const PackedEntry* const found = FindPacked(key_id);
  if (found == nullptr) return absl::nullopt;
  return Unpack(*found);
}

bool KeyDirShard::WouldTake(const base::KeyId& key_id, const base::Version& version) const {
  const PackedEntry* const found = FindPacked(key_id);
  if (found == nullptr) return true;
  const base::Version stored = VersionOf(*found);
  return version > stored || (found->damaged && version == stored);
}

bool KeyDirShard::Upsert(const LocatedEntry& located) {
  const PackedEntry packed = Pack(located);
  if (PackedEntry* const found = FindPacked(located.entry.key_id); found != nullptr) {
    if (!WouldTake(located.entry.key_id, located.entry.version)) return false;
    Count(*found, -1);
    *found = packed;
  } else {
    Insert(packed);
  }
  Count(packed, +1);
  return true;
}

absl::Status KeyDirShard::Admit(base::ActorId actor) {
  if (std::find(actors_.begin(), actors_.end(), actor) != actors_.end()) return absl::OkStatus();
  if (actors_.size() == kActorsPerShardMax) {
    return absl::ResourceExhaustedError(
        absl::StrFormat("a shard holds records of %d actors already", actors_.size()));
  }
  actors_.push_back(actor);
  return absl::OkStatus();
}

bool KeyDirShard::MarkDamaged(const base::KeyId& key_id, const Location& location) {
  PackedEntry* const found = FindPacked(key_id);
  if (found == nullptr || found->location != location) return false;
  Count(*found, -1);
  found->damaged = true;
  Count(*found, +1);
  return true;
}

bool KeyDirShard::Visit(const base::KeyRange& range,
                        absl::FunctionRef<bool(const LocatedEntry&)> visit) const {
  const uint64_t last_prefix = LeadingBits(range.last, level_);
  for (uint64_t prefix = LeadingBits(range.first, level_); prefix <= last_prefix; ++prefix) {
    const size_t index = ReverseLow(prefix, level_);
    if (!VisitBucket(buckets_[index], range, visit)) return false;
    // A split bucket kept the ids that go on with a 0; those with a 1 come after them.
    if (index >= split_) continue;
    if (!VisitBucket(buckets_[index + (size_t{1} << level_)], range, visit)) return false;
  }
  return true;
}

bool KeyDirShard::VisitBucket(const Bucket& bucket, const base::KeyRange& range,
                              absl::FunctionRef<bool(const LocatedEntry&)> visit) const {
  for (const PackedEntry* entry = bucket.entries; entry != bucket.end(); ++entry) {
    if (IdBefore(entry->key_id, range.first)) continue;
    if (IdBefore(range.last, entry->key_id)) return true;
    if (!visit(Unpack(*entry))) return false;
  }
  return true;
}

uint64_t KeyDirShard::bytes() const {
  return sizeof(*this) + allocated_bytes_ + buckets_.capacity() * sizeof(Bucket) +
         actors_.capacity() * sizeof(base::ActorId);
}

void KeyDirShard::Insert(const PackedEntry& entry) {
  Bucket& bucket = buckets_[BucketIndex(entry.key_id)];
  if (bucket.count == bucket.capacity) {
    if (bucket.capacity == 0) allocated_bytes_ += kAllocationOverheadBytes;
    bucket.capacity += kGrowthStep;
    allocated_bytes_ += kGrowthStep * sizeof(PackedEntry);
    bucket.entries = static_cast<PackedEntry*>(
        std::realloc(bucket.entries, bucket.capacity * sizeof(PackedEntry)));
    SLIP_CHECK(bucket.entries != nullptr);
  }
  PackedEntry* position = bucket.entries + bucket.count;
  while (position != bucket.entries && IdBefore(entry.key_id, position[-1].key_id)) --position;
  std::memmove(position + 1, position,
               static_cast<size_t>(bucket.entries + bucket.count - position) * sizeof(PackedEntry));
  *position = entry;
  ++bucket.count;
  ++entry_count_;
  if (entry_count_ > kEntriesPerBucketTarget * buckets_.size()) SplitOne();
}

void KeyDirShard::SplitOne() {
  SLIP_CHECK(level_ < kLevelMax);
  buckets_.emplace_back();
  Bucket& lower = buckets_[split_];
  Bucket& upper = buckets_.back();
  // Sorted by id, those whose next bit is 1 are the end of the array.
  const uint64_t next_bit = uint64_t{1} << level_;
  PackedEntry* const boundary = std::partition_point(
      lower.entries, lower.entries + lower.count, [next_bit](const PackedEntry& entry) {
        return (ReversedBits(entry.key_id) & next_bit) == 0;
      });
  const uint32_t lower_count = static_cast<uint32_t>(boundary - lower.entries);
  const uint32_t upper_count = lower.count - lower_count;
  const auto replace = [this](Bucket& bucket, const PackedEntry* source, uint32_t count) {
    bucket.count = count;
    bucket.capacity = (count + kGrowthStep - 1) / kGrowthStep * kGrowthStep;
    bucket.entries = nullptr;
    if (count == 0) return;
    bucket.entries = static_cast<PackedEntry*>(std::malloc(bucket.capacity * sizeof(PackedEntry)));
    SLIP_CHECK(bucket.entries != nullptr);
    std::memcpy(bucket.entries, source, count * sizeof(PackedEntry));
    allocated_bytes_ += bucket.capacity * sizeof(PackedEntry) + kAllocationOverheadBytes;
  };
  PackedEntry* const whole = lower.entries;
  if (whole != nullptr) {
    allocated_bytes_ -= lower.capacity * sizeof(PackedEntry) + kAllocationOverheadBytes;
  }
  replace(upper, boundary, upper_count);
  replace(lower, whole, lower_count);
  std::free(whole);
  if (++split_ == size_t{1} << level_) {
    ++level_;
    split_ = 0;
  }
}

void KeyDirShard::Count(const PackedEntry& entry, int delta) {
  if (entry.damaged) {
    damaged_count_ += delta;
  } else if (entry.tombstone) {
    tombstone_count_ += delta;
  }
}

uint16_t KeyDirShard::ActorIndex(base::ActorId actor) const {
  // The newest actors are the ones that write.
  const auto found = std::find(actors_.rbegin(), actors_.rend(), actor);
  SLIP_CHECK(found != actors_.rend());
  return static_cast<uint16_t>(actors_.rend() - found - 1);
}

KeyDirShard::PackedEntry KeyDirShard::Pack(const LocatedEntry& located) const {
  const Entry& entry = located.entry;
  return {
      .key_id = entry.key_id,
      .value_digest = entry.value_digest,
      .hlc = entry.version.hlc,
      .sequence = entry.sequence,
      .expires_at_ms = entry.expires_at_ms,
      .location = located.location,
      .record_bytes = entry.record_bytes,
      .actor_index = ActorIndex(entry.version.actor),
      .tombstone = entry.tombstone,
      .damaged = located.damaged,
  };
}

LocatedEntry KeyDirShard::Unpack(const PackedEntry& packed) const {
  return {
      .entry =
          {
              .key_id = packed.key_id,
              .version = VersionOf(packed),
              .sequence = packed.sequence,
              .expires_at_ms = packed.expires_at_ms,
              .value_digest = packed.value_digest,
              .record_bytes = packed.record_bytes,
              .tombstone = packed.tombstone,
          },
      .location = packed.location,
      .damaged = packed.damaged,
  };
}

base::Version KeyDirShard::VersionOf(const PackedEntry& packed) const {
  return {.hlc = packed.hlc, .actor = actors_[packed.actor_index]};
}

}  // namespace slipstream::storage
