#include "node/heap_trimmer.h"

#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "node/real_clock.h"

namespace slipstream::node {
namespace {

constexpr absl::Duration kPeriod = absl::Milliseconds(100);
// From one trim to the next, in durations of the first: a fiftieth of the time at most.
constexpr int kPausePerTrim = 50;
// What malloc maps by itself, and how much it keeps free at the end of an arena. By default both
// grow with what was freed, up to 32 and 64 MiB.
constexpr int kMappedBytesMin = 1 << 20;
constexpr int kArenaEndBytesMax = 1 << 20;
// A trim is worth it from this part of the limit on.
constexpr uint64_t kWorthDivisor = 32;

}  // namespace

bool TrimPace::IsDue(absl::Duration now, uint64_t bytes) const {
  return bytes > due_bytes_ && now >= next_at_;
}

void TrimPace::NoteTrim(absl::Duration now, absl::Duration duration, uint64_t bytes) {
  next_at_ = now + kPausePerTrim * duration;
  due_bytes_ = std::max(bytes_max_, bytes + bytes_max_ / kWorthDivisor);
}

HeapTrimmer::HeapTrimmer(uint64_t bytes_max) {
  if (bytes_max == 0) return;
  // A sanitizer's allocator knows neither.
  (void)::mallopt(M_MMAP_THRESHOLD, kMappedBytesMin);
  (void)::mallopt(M_TRIM_THRESHOLD, kArenaEndBytesMax);
  thread_ = std::thread([this, bytes_max] { Run(bytes_max); });
}

HeapTrimmer::~HeapTrimmer() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  if (thread_.joinable()) thread_.join();
}

void HeapTrimmer::Run(uint64_t bytes_max) {
  TrimPace pace(bytes_max);
  while (true) {
    {
      absl::MutexLock lock(&mutex_);
      if (mutex_.AwaitWithTimeout(absl::Condition(&stopping_), kPeriod)) return;
    }
    const absl::Duration started = SteadyNow();
    if (!pace.IsDue(started, OwnMemoryBytes())) continue;
    malloc_trim(/*pad=*/0);
    const absl::Duration ended = SteadyNow();
    pace.NoteTrim(ended, ended - started, OwnMemoryBytes());
  }
}

// See proc(5), /proc/pid/statm: all pages, resident ones, resident ones of files.
uint64_t OwnMemoryBytes() {
  std::ifstream file("/proc/self/statm");
  uint64_t pages = 0;
  uint64_t resident_pages = 0;
  uint64_t file_pages = 0;
  if (!(file >> pages >> resident_pages >> file_pages)) return 0;
  return (resident_pages - std::min(resident_pages, file_pages)) *
         static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace slipstream::node
