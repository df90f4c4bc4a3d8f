// The engine on a real file system, without sync unless the name says so. Keys of 16 bytes, values
// of 100.

#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "base/random.h"
#include "benchmark/benchmark.h"
#include "storage/engine.h"
#include "storage/entry.h"
#include "storage/options.h"
#include "storage/posix_file_system.h"

namespace slipstream::storage {
namespace {

constexpr size_t kValueBytes = 100;

// A store in a directory of its own, which is removed with it.
class Store {
 public:
  Store() {
    const char* const parent = std::getenv("TEST_TMPDIR");
    directory_ = absl::StrCat(parent == nullptr ? "/tmp" : parent, "/engine_benchmark.XXXXXX");
    SLIP_CHECK(::mkdtemp(directory_.data()) != nullptr);
    Options options;
    options.sync = SyncPolicy::kNone;
    absl::StatusOr<std::unique_ptr<Engine>> engine =
        Engine::Open(&fs_, absl::StrCat(directory_, "/data"), options, &rng_, nullptr);
    SLIP_CHECK_OK(engine.status());
    engine_ = *std::move(engine);
    SLIP_CHECK_OK(engine_->Maintain().status());
  }
  ~Store() {
    engine_.reset();
    std::filesystem::remove_all(directory_);
  }

  Engine& operator*() { return *engine_; }
  Engine* operator->() { return engine_.get(); }

 private:
  PosixFileSystem fs_;
  base::Random rng_{1};
  std::string directory_;
  std::unique_ptr<Engine> engine_;
};

absl::Time Now() { return absl::FromUnixSeconds(1'700'000'000); }

std::string KeyOf(uint64_t number) { return absl::StrFormat("key-%012d", number); }

uint64_t ResidentBytes() {
  std::FILE* const file = std::fopen("/proc/self/statm", "r");
  SLIP_CHECK(file != nullptr);
  unsigned long total = 0;
  unsigned long resident = 0;
  SLIP_CHECK(std::fscanf(file, "%lu %lu", &total, &resident) == 2);
  std::fclose(file);
  return resident * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

// Puts keys first_key, first_key + 1, ... in batches of `batch_count`.
void PutRange(Engine& engine, uint64_t first_key, uint64_t key_count, size_t batch_count) {
  const std::string value(kValueBytes, 'v');
  std::vector<std::string> keys(batch_count);
  std::vector<Mutation> batch(batch_count);
  for (uint64_t done = 0; done < key_count; done += batch_count) {
    for (size_t i = 0; i < batch_count; ++i) {
      keys[i] = KeyOf(first_key + done + i);
      batch[i] = {.key = keys[i], .value = value};
    }
    SLIP_CHECK_OK(engine.Write(batch, Atomicity::kEach, Now()).status());
  }
}

// One engine for all threads of a run; argument: puts per Write.
void BM_Put(benchmark::State& state) {
  static std::unique_ptr<Store> store;
  if (state.thread_index() == 0) store = std::make_unique<Store>();
  const size_t batch_count = static_cast<size_t>(state.range(0));
  uint64_t key = static_cast<uint64_t>(state.thread_index()) << 36;
  for (auto unused : state) {
    PutRange(**store, key, batch_count, batch_count);
    key += batch_count;
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(batch_count));
  if (state.thread_index() == 0) store.reset();
}
BENCHMARK(BM_Put)->Arg(1)->Arg(64)->Threads(1)->Threads(2)->UseRealTime();

void BM_PutAndSync(benchmark::State& state) {
  Store store;
  uint64_t key = 0;
  for (auto unused : state) {
    PutRange(*store, key++, 1, 1);
    SLIP_CHECK_OK(store->Flush(Engine::FlushMode::kSync).status());
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_PutAndSync)->UseRealTime();

void BM_Get(benchmark::State& state) {
  constexpr uint64_t kKeyCount = 100'000;
  static std::unique_ptr<Store> store;
  if (state.thread_index() == 0) {
    store = std::make_unique<Store>();
    PutRange(**store, 0, kKeyCount, 100);
    SLIP_CHECK_OK((*store)->Flush(Engine::FlushMode::kSync).status());
  }
  base::Random rng(static_cast<uint64_t>(state.thread_index()) + 1);
  for (auto unused : state) {
    const absl::StatusOr<ReadResult> read = (*store)->Get(KeyOf(rng.Below(kKeyCount)), Now());
    SLIP_CHECK(read->found);
  }
  state.SetItemsProcessed(state.iterations());
  if (state.thread_index() == 0) store.reset();
}
BENCHMARK(BM_Get)->Threads(1)->Threads(2)->UseRealTime();

// Memory of the KeyDir as it counts itself, and as the operating system sees it.
void BM_BytesPerKey(benchmark::State& state) {
  const uint64_t key_count = static_cast<uint64_t>(state.range(0));
  for (auto unused : state) {
    Store store;
    // Frame buffers come first, so that they are not counted as keys'.
    PutRange(*store, 0, 200'000, 100);
    const uint64_t resident_before = ResidentBytes();
    const uint64_t keydir_before = store->stats().keydir_bytes;
    PutRange(*store, 200'000, key_count, 100);
    const double keys = static_cast<double>(key_count);
    state.counters["keydir_bytes_per_key"] =
        static_cast<double>(store->stats().keydir_bytes - keydir_before) / keys;
    state.counters["rss_bytes_per_key"] =
        static_cast<double>(ResidentBytes() - resident_before) / keys;
  }
}
BENCHMARK(BM_BytesPerKey)->Arg(1'000'000)->Iterations(1)->UseRealTime();

}  // namespace
}  // namespace slipstream::storage
