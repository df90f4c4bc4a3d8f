// Ceilings: the bounds that no setting can raise, and that records of other nodes are held to.
#ifndef SLIPSTREAM_STORAGE_CEILINGS_H_
#define SLIPSTREAM_STORAGE_CEILINGS_H_

#include <cstdint>

namespace slipstream::storage {

inline constexpr uint32_t kKeyBytesCeiling = 4096;
inline constexpr uint32_t kValueBytesCeiling = 8 << 20;
inline constexpr uint32_t kBatchOperationsCeiling = 10'000;
inline constexpr uint32_t kBatchBytesCeiling = 64 << 20;
inline constexpr uint32_t kTransactionOperationsCeiling = 1'000'000;
inline constexpr uint32_t kTransactionBytesCeiling = 1 << 30;

// The greatest HLC of a record: counter 0 of the last millisecond that 48 bits can say.
inline constexpr uint64_t kHlcCeiling = 0xffff'ffff'ffff'0000;
// Where this node's clock is beyond it, it takes no more writes: a minute before the ceiling, more
// than all writes under way can use up.
inline constexpr uint64_t kClockCeiling = kHlcCeiling - (uint64_t{1} << 32);
// The greatest sequence of a dot, as the KeyDir has 48 bits for it: a million writes a second use
// it up in nine years, in one shard of 256.
inline constexpr uint64_t kSequenceCeiling = (uint64_t{1} << 48) - 1;

// One segment's length and the last segment's number: a location fits 56 bits in the KeyDir.
inline constexpr uint64_t kSegmentBytesMax = 1 << 30;
inline constexpr uint64_t kSegmentNumberMax = (1 << 26) - 1;
inline constexpr uint32_t kReserveSegmentsCeiling = 64;
inline constexpr uint32_t kFramesInFlightCeiling = 64;
// Below, compaction would copy a hundred bytes to free five.
inline constexpr double kDeadShareMin = 0.05;
inline constexpr uint32_t kFrameBytesTargetMin = 4096;
inline constexpr uint32_t kFrameBytesTargetMax = 64 << 20;
inline constexpr uint64_t kUnflushedBytesCeiling = 1 << 30;
inline constexpr uint64_t kCheckpointBytesCeiling = uint64_t{1} << 40;
inline constexpr uint64_t kValueCacheBytesCeiling = uint64_t{1} << 40;

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_CEILINGS_H_
