// The filter of a run: one Bloom filter of one cache line for each data page.
//
// The fences say which page a key_id belongs to, so the filter of that page alone has to answer:
// one cache line, never more keys in it than a page holds, and nothing about a run has to be known
// before it is written. With 46 keys in 512 bits, 11.1 bits a key, about 0.5 % of absent keys are
// taken for present. A key_id is SHA-256 output: its last bytes serve as the hash as they are.
// (Bloom 1970; Putze, Sanders, Singler, "Cache-, hash- and space-efficient Bloom filters", 2007.)
#ifndef SLIPSTREAM_STORAGE_RUN_FILTER_H_
#define SLIPSTREAM_STORAGE_RUN_FILTER_H_

#include <cstddef>

#include "base/key_id.h"

namespace slipstream::storage {

inline constexpr size_t kFilterBlockBytes = 64;
// Bits that a key_id sets: the i-th is the number in bits 9 i to 9 i + 8 of the last 8 bytes of the
// key_id, read as a little-endian number; bit b of a block is bit b % 8 of its byte b / 8.
inline constexpr int kFilterProbes = 7;

// Adds `key_id` to the block of kFilterBlockBytes bytes at `block`; a new one is all zeros.
void AddToFilterBlock(const base::KeyId& key_id, char* block);

// Returns false only if `key_id` was never added to the block at `block`.
bool FilterBlockMayContain(const char* block, const base::KeyId& key_id);

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_RUN_FILTER_H_
