// Mix: numbers that look random and are a function of an index.
#ifndef SLIPSTREAM_TESTS_BENCH_MIX_H_
#define SLIPSTREAM_TESTS_BENCH_MIX_H_

#include <cstdint>

namespace slipstream::bench {

// The output function of splitmix64: a bijection, so different inputs never meet.
inline uint64_t Mix(uint64_t value) {
  value += 0x9e3779b97f4a7c15;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

}  // namespace slipstream::bench

#endif  // SLIPSTREAM_TESTS_BENCH_MIX_H_
