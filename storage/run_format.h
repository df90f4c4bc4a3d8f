// A run of the Sorted Log: entries of keys that left memory, sorted by key_id, in one file.
//
// Here are the layout of a run's pages, their encoding, and the decoding of bytes that may be
// damaged. run_writer.h makes a run, run_reader.h looks keys up in it, run_cursor.h walks it. A run
// is derived from the log: to delete it loses no data. Layout: docs/sorted_log.md.
#ifndef SLIPSTREAM_STORAGE_RUN_FORMAT_H_
#define SLIPSTREAM_STORAGE_RUN_FORMAT_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "base/digest.h"
#include "base/key_id.h"
#include "base/version.h"
#include "storage/frame.h"
#include "storage/keydir_shard.h"

namespace slipstream::storage {

// An entry as a run holds it.
struct RunEntry {
  LocatedEntry located;
  // The record of the entry that this one shadows, the newest of its key in all older runs, is
  // counted among its segment's dead bytes already. A blind write cannot know, so it says false.
  bool shadow_counted = false;

  const base::KeyId& key_id() const { return located.entry.key_id; }
  friend bool operator==(const RunEntry&, const RunEntry&) = default;
};

inline constexpr uint64_t kRunMagic = 0x4e555253'50494c53;  // "SLIPSRUN"
inline constexpr uint32_t kRunFormatVersion = 1;

// The bits of an entry's flags.
inline constexpr uint32_t kRunFlagTombstone = 1;
inline constexpr uint32_t kRunFlagDamaged = 2;
inline constexpr uint32_t kRunFlagShadowCounted = 4;
inline constexpr uint32_t kRunFlags = 7;

// An entry as it stands on disk.
struct PackedRunEntry {
  base::KeyId key_id;
  base::ValueDigest value_digest;
  base::Hlc hlc = 0;
  uint64_t actor = 0;
  uint64_t sequence = 0;
  uint64_t expires_at_ms = 0;
  uint32_t segment_number = 0;
  uint32_t offset = 0;
  uint32_t record_bytes = 0;
  uint32_t flags = 0;
};
inline constexpr size_t kRunEntryBytes = 88;

static_assert(sizeof(PackedRunEntry) == kRunEntryBytes);
static_assert(std::has_unique_object_representations_v<PackedRunEntry>, "no padding on disk");
static_assert(std::is_trivially_copyable_v<PackedRunEntry>);
static_assert(offsetof(PackedRunEntry, value_digest) == 20);
static_assert(offsetof(PackedRunEntry, hlc) == 40);
static_assert(offsetof(PackedRunEntry, actor) == 48);
static_assert(offsetof(PackedRunEntry, sequence) == 56);
static_assert(offsetof(PackedRunEntry, expires_at_ms) == 64);
static_assert(offsetof(PackedRunEntry, segment_number) == 72);
static_assert(offsetof(PackedRunEntry, offset) == 76);
static_assert(offsetof(PackedRunEntry, record_bytes) == 80);
static_assert(offsetof(PackedRunEntry, flags) == 84);

// The first bytes of a data page; entries follow, the rest is zero.
struct RunPageHeader {
  uint32_t crc32c = 0;  // Of all that follows, to the end of the page.
  uint16_t entry_count = 0;
  uint16_t reserved = 0;
  uint32_t page_number = 0;  // Its offset in the file in pages: 1 for the first data page.
  uint32_t run_number_low = 0;
};
inline constexpr size_t kRunPageHeaderBytes = 16;
// All data pages but the last hold as many.
inline constexpr size_t kRunEntriesPerPage = (kPageBytes - kRunPageHeaderBytes) / kRunEntryBytes;

static_assert(sizeof(RunPageHeader) == kRunPageHeaderBytes);
static_assert(std::has_unique_object_representations_v<RunPageHeader>, "no padding on disk");
static_assert(std::is_trivially_copyable_v<RunPageHeader>);
static_assert(offsetof(RunPageHeader, entry_count) == 4);
static_assert(offsetof(RunPageHeader, page_number) == 8);
static_assert(offsetof(RunPageHeader, run_number_low) == 12);
static_assert(kRunEntriesPerPage == 46);

// The first bytes of the header page; the rest of the page is zero.
struct RunHeader {
  uint64_t magic = kRunMagic;
  uint32_t crc32c = 0;  // Of all that follows, to the end of the page.
  uint32_t format_version = kRunFormatVersion;
  uint32_t page_bytes = kPageBytes;
  uint32_t entry_bytes = kRunEntryBytes;
  uint64_t node_id = 0;
  uint64_t run_number = 0;
  uint64_t entry_count = 0;
  uint64_t page_count = 0;  // Of data pages.
  uint64_t fences_offset = 0;
  uint64_t filter_offset = 0;
  uint64_t file_bytes = 0;
  uint32_t fences_crc32c = 0;  // Of the whole pages of fences.
  uint32_t filter_crc32c = 0;  // Of the whole pages of the filter.
  base::KeyId first_key_id;    // Zero, as is the last one, in a run without entries.
  base::KeyId last_key_id;
  uint64_t tombstone_count = 0;  // Not damaged.
  uint64_t damaged_count = 0;
};
inline constexpr size_t kRunHeaderBytes = 144;

static_assert(sizeof(RunHeader) == kRunHeaderBytes);
static_assert(std::has_unique_object_representations_v<RunHeader>, "no padding on disk");
static_assert(std::is_trivially_copyable_v<RunHeader>);
static_assert(offsetof(RunHeader, crc32c) == 8);
static_assert(offsetof(RunHeader, format_version) == 12);
static_assert(offsetof(RunHeader, page_bytes) == 16);
static_assert(offsetof(RunHeader, entry_bytes) == 20);
static_assert(offsetof(RunHeader, node_id) == 24);
static_assert(offsetof(RunHeader, run_number) == 32);
static_assert(offsetof(RunHeader, entry_count) == 40);
static_assert(offsetof(RunHeader, page_count) == 48);
static_assert(offsetof(RunHeader, fences_offset) == 56);
static_assert(offsetof(RunHeader, filter_offset) == 64);
static_assert(offsetof(RunHeader, file_bytes) == 72);
static_assert(offsetof(RunHeader, fences_crc32c) == 80);
static_assert(offsetof(RunHeader, filter_crc32c) == 84);
static_assert(offsetof(RunHeader, first_key_id) == 88);
static_assert(offsetof(RunHeader, last_key_id) == 108);
static_assert(offsetof(RunHeader, tombstone_count) == 128);
static_assert(offsetof(RunHeader, damaged_count) == 136);

// The greatest number of data pages: their numbers, from 1, fit 32 bits. About 16 TiB.
inline constexpr uint64_t kRunPagesMax = 0xffff'fffe;
inline constexpr uint64_t kRunEntriesMax = kRunPagesMax * kRunEntriesPerPage;

// A fence is the first bytes of a data page's first key_id, as a number.
using RunFence = uint64_t;
inline constexpr size_t kRunFenceBytes = sizeof(RunFence);
RunFence RunFenceOf(const base::KeyId& key_id);

// Where the parts of a run with `entry_count` entries stand, at most kRunEntriesMax.
struct RunLayout {
  uint64_t page_count = 0;
  uint64_t fences_offset = 0;
  uint64_t fences_bytes = 0;  // Whole pages; so is filter_bytes.
  uint64_t filter_offset = 0;
  uint64_t filter_bytes = 0;
  uint64_t file_bytes = 0;
};
RunLayout RunLayoutOf(uint64_t entry_count);

// Returns a header page of kPageBytes bytes with `header` and its checksum.
std::string EncodeRunHeader(RunHeader header);

// Decodes a header page of kPageBytes bytes. FAILED_PRECONDITION (DIRECTORY_FOREIGN) for a valid
// page of a newer format version; DATA_LOSS if it fails its checks, or its counts, offsets and
// length are not those of one layout.
absl::StatusOr<RunHeader> DecodeRunHeader(absl::string_view page);

// Writes entry `index` of the data page of kPageBytes bytes at `page`.
void PackRunEntry(const RunEntry& entry, size_t index, char* page);

// Completes a data page whose entries are packed and whose other bytes are zero: writes `header`
// with its checksum.
void SealRunPage(RunPageHeader header, char* page);

// A decoded data page. Views the bytes it was decoded from, which must outlive it.
class RunPageView {
 public:
  size_t entry_count() const { return entry_count_; }
  // 0 <= index < entry_count(), here and below.
  base::KeyId key_id(size_t index) const;
  RunEntry entry(size_t index) const;
  // Returns the index of the first entry whose key_id is not before `key_id`; entry_count() if none
  // is.
  size_t LowerBound(const base::KeyId& key_id) const;

 private:
  friend absl::StatusOr<RunPageView> DecodeRunPage(absl::string_view page,
                                                   const RunPageHeader& expected);

  RunPageView(const char* page, size_t entry_count) : page_(page), entry_count_(entry_count) {}

  const char* page_;
  size_t entry_count_;
};

// Decodes a data page of kPageBytes bytes. DATA_LOSS if it fails its checksum, its header is not
// `expected` (whose crc32c is not looked at), or its entries are not in strictly ascending order
// with known flags.
absl::StatusOr<RunPageView> DecodeRunPage(absl::string_view page, const RunPageHeader& expected);

// Returns the name of the file of run `number`.
std::string RunFileName(uint64_t number);

// Returns the number in a run's file name, nullopt for any other name.
absl::optional<uint64_t> ParseRunFileName(absl::string_view name);

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_RUN_FORMAT_H_
