// DataSet: the keys and values of a benchmark, each a function of its index, so that every value
// read can be verified at the cost of a comparison, and making them costs next to nothing.
#ifndef SLIPSTREAM_TESTS_BENCH_DATA_SET_H_
#define SLIPSTREAM_TESTS_BENCH_DATA_SET_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace slipstream::bench {

inline constexpr size_t kBenchKeyBytes = 16;

// 16 bytes that look random, different for different indexes.
class BenchKey {
 public:
  explicit BenchKey(uint64_t index);
  absl::string_view view() const { return {bytes_.data(), bytes_.size()}; }

 private:
  std::array<char, kBenchKeyBytes> bytes_;
};

// Values are cut from one pool of a MiB, at a place that the index and the generation decide.
// Thread-safe.
class DataSet {
 public:
  enum class Kind {
    kIncompressible,  // Random bytes.
    kText,            // Lines of JSON made of a few hundred words: three to one, about.
  };
  DataSet(Kind kind, size_t value_bytes);

  // The value that write number `generation` gives to key `index`. Lives as long as the data set.
  absl::string_view ValueOf(uint64_t index, uint32_t generation = 0) const;
  // Whether `value` is one that a generation below `generation_count` gave to key `index`.
  bool IsValueOf(absl::string_view value, uint64_t index, uint32_t generation_count = 1) const;

  size_t value_bytes() const { return value_bytes_; }

 private:
  const size_t value_bytes_;
  const std::string pool_;
};

}  // namespace slipstream::bench

#endif  // SLIPSTREAM_TESTS_BENCH_DATA_SET_H_
