// A hostile manifest: it is refused, or says the same when it is written again; and a store that
// has it is opened or refused, whatever it claims to be dropped.
//
// Input: edits of 3 bytes to a good manifest: offset (16 bits), what to exclusive-or. The checksum
// is made valid again, unless the first byte of the input, before the edits, is 0.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/check.h"
#include "base/coding.h"
#include "base/crc32c.h"
#include "base/random.h"
#include "storage/engine.h"
#include "storage/entry.h"
#include "storage/file_system.h"
#include "storage/manifest.h"
#include "storage/memory_file_system.h"
#include "storage/options.h"
#include "storage/testing/small_store.h"

namespace slipstream::storage {
namespace {

using testing::kDirectory;
using testing::Noon;
using testing::SmallOptions;

constexpr size_t kEditBytes = 3;

// A store of a few segments, some of which were dropped.
std::unique_ptr<MemoryFileSystem> MakeStore() {
  auto fs = std::make_unique<MemoryFileSystem>();
  base::Random rng(1);
  auto engine = Engine::Open(fs.get(), kDirectory, SmallOptions(), &rng, nullptr);
  SLIP_CHECK_OK(engine.status());
  for (int i = 0; i < 60; ++i) {
    const std::string key = absl::StrCat("key", i < 5 ? i : i % 3);
    const std::string value = rng.Bytes(500);
    const Mutation put{.key = key, .value = value};
    SLIP_CHECK_OK((*engine)->Write({put}, Atomicity::kEach, Noon()).status());
    SLIP_CHECK_OK((*engine)->Flush(Engine::FlushMode::kSync).status());
    SLIP_CHECK_OK((*engine)->Maintain().status());
  }
  SLIP_CHECK_OK((*engine)->Close());
  return fs;
}

void CheckOpens(const MemoryFileSystem& store, absl::string_view manifest, OnDamage on_damage) {
  const std::unique_ptr<MemoryFileSystem> fs = store.Clone();
  fs->Install(JoinPath(kDirectory, kManifestFileName), manifest);
  Options options = SmallOptions();
  options.on_damage = on_damage;
  base::Random rng(2);
  const auto engine = Engine::Open(fs.get(), kDirectory, options, &rng, nullptr);
  if (!engine.ok()) {
    SLIP_CHECK(absl::IsDataLoss(engine.status()) || absl::IsFailedPrecondition(engine.status()));
    return;
  }
  // It may have no versions, dots or segment numbers left; it must say so.
  const Mutation put{.key = "key", .value = "value"};
  const absl::Status written = (*engine)->Write({put}, Atomicity::kEach, Noon()).status();
  SLIP_CHECK(written.ok() || absl::IsFailedPrecondition(written) ||
             absl::IsResourceExhausted(written));
}

void RunInput(absl::string_view input) {
  static const MemoryFileSystem* const store = MakeStore().release();
  std::string bytes = store->Contents(JoinPath(kDirectory, kManifestFileName));
  const bool fix = !input.empty() && input[0] != 0;
  if (!input.empty()) input.remove_prefix(1);
  for (; input.size() >= kEditBytes; input.remove_prefix(kEditBytes)) {
    const size_t offset = base::LoadLittle<uint16_t>(input.data()) % bytes.size();
    bytes[offset] = static_cast<char>(bytes[offset] ^ input[2]);
  }
  if (fix) {
    constexpr size_t kCrcedFrom = offsetof(ManifestHeader, format_version);
    base::StoreLittle<uint32_t>(base::Crc32c(absl::string_view(bytes).substr(kCrcedFrom)),
                                bytes.data() + offsetof(ManifestHeader, crc32c));
  }
  const absl::StatusOr<Manifest> manifest = DecodeManifest(bytes);
  if (manifest.ok()) {
    SLIP_CHECK(EncodeManifest(*manifest) == bytes);
  } else {
    SLIP_CHECK(absl::IsDataLoss(manifest.status()) ||
               absl::IsFailedPrecondition(manifest.status()));
  }
  CheckOpens(*store, bytes, OnDamage::kRefuse);
  CheckOpens(*store, bytes, OnDamage::kServeRest);
}

}  // namespace
}  // namespace slipstream::storage

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  slipstream::storage::RunInput({reinterpret_cast<const char*>(data), size});
  return 0;
}
