#include "storage/keydir_shard.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "absl/strings/str_format.h"
#include "base/check.h"
#include "storage/ceilings.h"
#include "storage/record.h"

namespace slipstream::storage {
namespace {

// An unsigned number in `kBytes` bytes, lowest first.
template <size_t kBytes>
struct PackedInt {
  static constexpr uint64_t kMax = ~uint64_t{0} >> (64 - 8 * kBytes);

  uint64_t get() const {
    uint64_t value = 0;
    std::memcpy(&value, bytes, kBytes);
    return value;
  }
  void set(uint64_t value) {
    SLIP_CHECK(value <= kMax);
    std::memcpy(bytes, &value, kBytes);
  }

  uint8_t bytes[kBytes];
};

// A segment number above an offset.
constexpr int kOffsetBits = 30;
constexpr int kSegmentNumberBits = 26;
using PackedLocation = PackedInt<(kOffsetBits + kSegmentNumberBits) / 8>;

uint64_t NumberOf(const Location& location) {
  SLIP_CHECK(location.offset < kSegmentBytesMax);
  return uint64_t{location.segment_number} << kOffsetBits | location.offset;
}

// Of an entry.
enum Flag : uint8_t {
  kTombstone = 1,
  kDamaged = 2,
  kExpires = 4,
  kDirty = 8,
  kFlushing = 16,
  kShadowCounted = 32,  // Says something only of dirty and flushing ones.
  kTouched = 64,
  kOverFlushing = 128,  // Replaced one that was flushing: whether a run has that is not known yet.
};

}  // namespace

struct KeyDirShard::PackedEntry {
  uint8_t id_suffix[kIdSuffixBytes];
  base::ValueDigest value_digest;
  PackedInt<8> hlc;
  PackedInt<6> sequence;
  PackedLocation location;
  PackedInt<3> record_bytes;
  PackedInt<2> actor_index;
  uint8_t flags;

  bool has(Flag flag) const { return (flags & flag) != 0; }
  void set(Flag flag) { flags |= flag; }
  void clear(Flag flag) { flags &= static_cast<uint8_t>(~flag); }

  // What must hold of it, here because only members may name the type.
  static constexpr bool FitsCeilings() {
    return kSequenceCeiling <= decltype(sequence)::kMax &&
           kSegmentBytesMax <= uint64_t{1} << kOffsetBits &&
           kSegmentNumberMax < uint64_t{1} << kSegmentNumberBits &&
           kRecordHeaderBytes + kKeyBytesCeiling + kValueBytesCeiling <=
               decltype(record_bytes)::kMax &&
           kActorsPerShardMax - 1 <= decltype(actor_index)::kMax;
  }
};

struct KeyDirShard::PackedExpiry {
  uint8_t id_suffix[kIdSuffixBytes];
  PackedInt<8> expires_at_ms;
};

KeyDirShard::KeyDirShard(ChunkArena* arena)
    : entries_(arena, sizeof(PackedEntry)), expiries_(arena, sizeof(PackedExpiry)) {
  static_assert(sizeof(PackedEntry) == 66);
  static_assert(alignof(PackedEntry) == 1 && alignof(PackedExpiry) == 1);
  static_assert(sizeof(PackedExpiry) == 27);
  static_assert(std::is_trivially_copyable_v<PackedEntry>, "its bytes are moved");
  static_assert(std::is_trivially_copyable_v<PackedExpiry>);
  static_assert(PackedEntry::FitsCeilings());
}

const KeyDirShard::PackedEntry* KeyDirShard::FindPacked(const base::KeyId& key_id) const {
  return reinterpret_cast<const PackedEntry*>(entries_.Find(key_id));
}

KeyDirShard::PackedEntry* KeyDirShard::FindPacked(const base::KeyId& key_id) {
  return reinterpret_cast<PackedEntry*>(entries_.Find(key_id));
}

absl::optional<LocatedEntry> KeyDirShard::Find(const base::KeyId& key_id) const {
  const PackedEntry* const found = FindPacked(key_id);
  if (found == nullptr) return absl::nullopt;
  return Unpack(*found);
}

absl::optional<LocatedEntry> KeyDirShard::FindAndTouch(const base::KeyId& key_id) {
  PackedEntry* const found = FindPacked(key_id);
  if (found == nullptr) return absl::nullopt;
  if (!found->has(kTouched)) found->set(kTouched);
  return Unpack(*found);
}

bool KeyDirShard::WouldTake(const base::KeyId& key_id, const base::Version& version) const {
  const PackedEntry* const found = FindPacked(key_id);
  return found == nullptr || YieldsTo(*found, version);
}

bool KeyDirShard::YieldsTo(const PackedEntry& packed, const base::Version& version) const {
  const base::Version stored = VersionOf(packed);
  return version > stored || (packed.has(kDamaged) && version == stored);
}

UpsertResult KeyDirShard::Upsert(const LocatedEntry& located) {
  UpsertResult result;
  const base::KeyId& key_id = located.entry.key_id;
  PackedEntry* packed = FindPacked(key_id);
  bool had_expiry = false;
  uint8_t inherited_flags = 0;
  if (packed != nullptr) {
    if (!YieldsTo(*packed, located.entry.version)) return result;
    result.replaced = LocationOf(*packed);
    result.replaced_bytes = static_cast<uint32_t>(packed->record_bytes.get());
    had_expiry = packed->has(kExpires);
    inherited_flags = FlagsOver(*packed);
    Count(*packed, -1);
  } else {
    packed = &InsertPacked(key_id);
  }
  Pack(located, *packed);
  packed->set(kDirty);
  packed->set(kTouched);
  packed->flags |= inherited_flags;
  Count(*packed, +1);
  SetExpiry(located.entry, had_expiry);
  result.taken = true;
  return result;
}

// Returns what the entry that takes the place of `replaced`, whose record is counted as dead with
// that, says of what it shadows. If a run has the replaced one, it is that; if not, it is what that
// one shadowed. Of a flushing one EndFlush knows.
uint8_t KeyDirShard::FlagsOver(const PackedEntry& replaced) {
  uint8_t flags = replaced.flags & (kShadowCounted | kOverFlushing);
  if (replaced.has(kFlushing)) {
    flags |= kOverFlushing;
  } else if (!replaced.has(kDirty)) {
    flags |= kShadowCounted;
  }
  return flags;
}

bool KeyDirShard::Move(const base::KeyId& key_id, const Location& from, const Location& to) {
  PackedEntry* const found = FindPacked(key_id);
  if (found == nullptr || LocationOf(*found) != from) return false;
  Redirty(*found, [found, &to] { found->location.set(NumberOf(to)); });
  return true;
}

// Changes an entry that stands for the same record as before.
template <typename Change>
void KeyDirShard::Redirty(PackedEntry& packed, Change change) {
  const uint8_t inherited_flags = FlagsOver(packed);
  Count(packed, -1);
  change();
  packed.clear(kFlushing);
  packed.clear(kShadowCounted);
  packed.set(kDirty);
  packed.flags |= inherited_flags;
  Count(packed, +1);
}

void KeyDirShard::InsertMoved(const LocatedEntry& located) {
  PackedEntry& packed = InsertPacked(located.entry.key_id);
  Pack(located, packed);
  packed.set(kDirty);
  packed.set(kShadowCounted);
  Count(packed, +1);
  SetExpiry(located.entry, /*had_one=*/false);
}

void KeyDirShard::InsertClean(const LocatedEntry& located) {
  PackedEntry& packed = InsertPacked(located.entry.key_id);
  Pack(located, packed);
  Count(packed, +1);
  SetExpiry(located.entry, /*had_one=*/false);
}

// Adds an item for `key_id`, which has none; all but its id is for the caller to fill in.
KeyDirShard::PackedEntry& KeyDirShard::InsertPacked(const base::KeyId& key_id) {
  if (entries_.item_count() == 0) shard_byte_ = key_id.shard();
  SLIP_CHECK(key_id.shard() == shard_byte_);
  return *reinterpret_cast<PackedEntry*>(entries_.Insert(key_id));
}

void KeyDirShard::Clear() {
  entries_.Clear();
  expiries_.Clear();
  tombstone_count_ = damaged_count_ = dirty_count_ = 0;
  is_flushing_ = false;
  actors_.clear();
}

void KeyDirShard::BeginFlush(std::vector<DirtyEntry>& entries) {
  if (dirty_count_ == 0) return;
  is_flushing_ = true;
  entries.reserve(entries.size() + dirty_count_);
  const base::KeyRange all = base::RangeOf(base::KeyPrefix{});
  entries_.VisitMutable(all, [this, &entries](char* item) {
    PackedEntry& packed = *reinterpret_cast<PackedEntry*>(item);
    if (!packed.has(kDirty)) return true;
    entries.push_back({.located = Unpack(packed), .shadow_counted = packed.has(kShadowCounted)});
    packed.clear(kDirty);
    packed.set(kFlushing);
    return true;
  });
  dirty_count_ = 0;
}

void KeyDirShard::EndFlush(bool durable) {
  if (!is_flushing_) return;
  is_flushing_ = false;
  // A sweep that removes nothing, as no order is needed.
  size_t hand = 0;
  entries_.Sweep(entries_.bucket_count(), hand, [this, durable](char* item) {
    PackedEntry& packed = *reinterpret_cast<PackedEntry*>(item);
    if (packed.has(kOverFlushing) && durable) packed.set(kShadowCounted);
    packed.clear(kOverFlushing);
    if (!packed.has(kFlushing)) return false;
    packed.clear(kFlushing);
    if (!durable) {
      packed.set(kDirty);
      ++dirty_count_;
    }
    return false;
  });
}

size_t KeyDirShard::Evict(size_t bucket_count) {
  const size_t evicted_count = entries_.Sweep(bucket_count, evict_hand_, [this](char* item) {
    PackedEntry& packed = *reinterpret_cast<PackedEntry*>(item);
    if (packed.has(kDirty) || packed.has(kFlushing) || packed.has(kDamaged)) return false;
    if (packed.has(kTouched)) {
      packed.clear(kTouched);
      return false;
    }
    Count(packed, -1);
    if (packed.has(kExpires)) expiries_.Erase(IdOf(packed));
    return true;
  });
  // The directory of a table that was large once.
  if (entries_.item_count() == 0) entries_.Clear();
  return evicted_count;
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
  if (found == nullptr || LocationOf(*found) != location) return false;
  Redirty(*found, [found] { found->set(kDamaged); });
  return true;
}

bool KeyDirShard::Visit(const base::KeyRange& range,
                        absl::FunctionRef<bool(const LocatedEntry&)> visit) const {
  return entries_.Visit(range, [this, visit](const char* item) {
    return visit(Unpack(*reinterpret_cast<const PackedEntry*>(item)));
  });
}

uint64_t KeyDirShard::bytes() const {
  return sizeof(*this) + entries_.bytes() + expiries_.bytes() +
         actors_.capacity() * sizeof(base::ActorId);
}

void KeyDirShard::Count(const PackedEntry& packed, int delta) {
  if (packed.has(kDirty)) dirty_count_ += delta;
  if (packed.has(kDamaged)) {
    damaged_count_ += delta;
  } else if (packed.has(kTombstone)) {
    tombstone_count_ += delta;
  }
}

uint16_t KeyDirShard::ActorIndex(base::ActorId actor) const {
  // The newest actors are the ones that write.
  const auto found = std::find(actors_.rbegin(), actors_.rend(), actor);
  SLIP_CHECK(found != actors_.rend());
  return static_cast<uint16_t>(actors_.rend() - found - 1);
}

// Brings the expiry of `entry` up to date; `had_one` is whether its key has one so far.
void KeyDirShard::SetExpiry(const Entry& entry, bool had_one) {
  if (entry.expires_at_ms == 0) {
    if (had_one) expiries_.Erase(entry.key_id);
    return;
  }
  char* const item = had_one ? expiries_.Find(entry.key_id) : expiries_.Insert(entry.key_id);
  SLIP_CHECK(item != nullptr);
  reinterpret_cast<PackedExpiry*>(item)->expires_at_ms.set(entry.expires_at_ms);
}

// Fills in all but the id.
void KeyDirShard::Pack(const LocatedEntry& located, PackedEntry& packed) const {
  const Entry& entry = located.entry;
  const Location& location = located.location;
  packed.value_digest = entry.value_digest;
  packed.hlc.set(entry.version.hlc);
  packed.sequence.set(entry.sequence);
  packed.location.set(NumberOf(location));
  packed.record_bytes.set(entry.record_bytes);
  packed.actor_index.set(ActorIndex(entry.version.actor));
  packed.flags =
      static_cast<uint8_t>((entry.tombstone ? kTombstone : 0) | (located.damaged ? kDamaged : 0) |
                           (entry.expires_at_ms != 0 ? kExpires : 0));
}

base::KeyId KeyDirShard::IdOf(const PackedEntry& packed) const {
  base::KeyId key_id;
  key_id.bytes[0] = shard_byte_;
  std::memcpy(key_id.bytes.data() + 1, packed.id_suffix, kIdSuffixBytes);
  return key_id;
}

LocatedEntry KeyDirShard::Unpack(const PackedEntry& packed) const {
  LocatedEntry located;
  Entry& entry = located.entry;
  entry.key_id = IdOf(packed);
  entry.version = VersionOf(packed);
  entry.sequence = packed.sequence.get();
  if (packed.has(kExpires)) {
    const char* const item = expiries_.Find(entry.key_id);
    SLIP_CHECK(item != nullptr);
    entry.expires_at_ms = reinterpret_cast<const PackedExpiry*>(item)->expires_at_ms.get();
  }
  entry.value_digest = packed.value_digest;
  entry.record_bytes = static_cast<uint32_t>(packed.record_bytes.get());
  entry.tombstone = packed.has(kTombstone);
  located.location = LocationOf(packed);
  located.damaged = packed.has(kDamaged);
  return located;
}

base::Version KeyDirShard::VersionOf(const PackedEntry& packed) const {
  return {.hlc = packed.hlc.get(), .actor = actors_[packed.actor_index.get()]};
}

Location KeyDirShard::LocationOf(const PackedEntry& packed) {
  const uint64_t location = packed.location.get();
  return {.segment_number = static_cast<uint32_t>(location >> kOffsetBits),
          .offset = static_cast<uint32_t>(location & ((1u << kOffsetBits) - 1))};
}

}  // namespace slipstream::storage
