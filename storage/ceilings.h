// Ceilings: the bounds that no setting can raise, and that records of other nodes are held to.
#ifndef SLIPSTREAM_STORAGE_CEILINGS_H_
#define SLIPSTREAM_STORAGE_CEILINGS_H_

#include <cstdint>

namespace slipstream::storage {

inline constexpr uint32_t kKeyBytesCeiling = 4096;
inline constexpr uint32_t kValueBytesCeiling = 8 << 20;
inline constexpr uint32_t kBatchOperationsCeiling = 10'000;
inline constexpr uint32_t kBatchBytesCeiling = 64 << 20;

// The greatest HLC of a record: counter 0 of the last millisecond that 48 bits can say.
inline constexpr uint64_t kHlcCeiling = 0xffff'ffff'ffff'0000;
// Where this node's clock is beyond it, it takes no more writes: a minute before the ceiling, more
// than all writes under way can use up.
inline constexpr uint64_t kClockCeiling = kHlcCeiling - (uint64_t{1} << 32);
// The greatest sequence of another node's dot: what is above it no node's own dots use up.
inline constexpr uint64_t kSequenceCeiling = uint64_t{1} << 63;

// One segment's length, bounded so that an offset fits 32 bits with room to spare.
inline constexpr uint64_t kSegmentBytesMax = 1 << 30;
inline constexpr uint32_t kFrameBytesTargetMin = 4096;
inline constexpr uint32_t kFrameBytesTargetMax = 64 << 20;
inline constexpr uint64_t kUnflushedBytesCeiling = 1 << 30;

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_CEILINGS_H_
