#include "tests/bench/data_set.h"

#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/random.h"
#include "tests/bench/mix.h"

namespace slipstream::bench {
namespace {

constexpr size_t kPoolBytes = 1 << 20;
constexpr uint64_t kSecondHalf = 0x5851f42d4c957f2d;

std::vector<std::string> MakeWords(base::Random& rng) {
  std::vector<std::string> words(400);
  for (std::string& word : words) {
    const size_t letters = 3 + rng.Below(8);
    for (size_t i = 0; i < letters; ++i) word.push_back(static_cast<char>('a' + rng.Below(26)));
  }
  return words;
}

std::string MakeText(size_t bytes) {
  base::Random rng(7);
  const std::vector<std::string> words = MakeWords(rng);
  const auto word = [&] { return words[rng.Below(words.size())]; };
  std::string text;
  while (text.size() < bytes) {
    absl::StrAppend(&text, "{\"id\":", rng.Below(100'000'000), ",\"name\":\"", word(), " ", word(),
                    "\",\"city\":\"", word(), "\",\"tags\":[\"", word(), "\",\"", word(),
                    "\"],\"note\":\"");
    for (int i = 0; i < 12; ++i) absl::StrAppend(&text, word(), " ");
    absl::StrAppend(&text, "\",\"active\":", rng.OneIn(2) ? "true" : "false", "}\n");
  }
  text.resize(bytes);
  return text;
}

std::string MakePool(DataSet::Kind kind, size_t bytes) {
  return kind == DataSet::Kind::kText ? MakeText(bytes) : base::Random(7).Bytes(bytes);
}

}  // namespace

BenchKey::BenchKey(uint64_t index) {
  const uint64_t halves[2] = {Mix(index), Mix(index ^ kSecondHalf)};
  static_assert(sizeof(halves) == kBenchKeyBytes);
  std::memcpy(bytes_.data(), halves, sizeof(halves));
}

DataSet::DataSet(Kind kind, size_t value_bytes)
    : value_bytes_(value_bytes), pool_(MakePool(kind, kPoolBytes + value_bytes)) {}

absl::string_view DataSet::ValueOf(uint64_t index, uint32_t generation) const {
  const uint64_t place = Mix(index + (uint64_t{generation} << 40)) % kPoolBytes;
  return absl::string_view(pool_).substr(place, value_bytes_);
}

bool DataSet::IsValueOf(absl::string_view value, uint64_t index, uint32_t generation_count) const {
  for (uint32_t generation = 0; generation < generation_count; ++generation) {
    if (value == ValueOf(index, generation)) return true;
  }
  return false;
}

}  // namespace slipstream::bench
