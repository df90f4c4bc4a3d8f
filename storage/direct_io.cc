#include "storage/direct_io.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/types/optional.h"
#include "storage/file_system.h"

namespace slipstream::storage {
namespace {

// Returns what the kernel says; nullopt if it is too old to say.
absl::optional<DirectDemand> AskForDemand(int descriptor) {
#ifdef STATX_DIOALIGN
  struct statx found;
  if (::statx(descriptor, "", AT_EMPTY_PATH, STATX_DIOALIGN, &found) == 0 &&
      (found.stx_mask & STATX_DIOALIGN) != 0) {
    return DirectDemand{.memory_bytes = found.stx_dio_mem_align,
                        .offset_bytes = found.stx_dio_offset_align};
  }
#endif
  return absl::nullopt;
}

// Returns whether the kernel refuses to read a page directly. A device that fails is not refused:
// the reads that count will say so.
bool RefusesToRead(int descriptor) {
  alignas(kDirectAlignment) char page[kDirectAlignment];
  return ::pread(descriptor, page, sizeof(page), 0) < 0 && errno == EINVAL;
}

std::string Refused(int error) { return absl::StrCat("O_DIRECT is refused: ", strerror(error)); }

}  // namespace

std::string WhyNotDirect(const DirectDemand& demand) {
  if (demand.memory_bytes == 0 || demand.offset_bytes == 0) {
    return "the file system has no direct I/O here";
  }
  // Powers of two, so what divides kDirectAlignment is what does not exceed it.
  for (const uint32_t bytes : {demand.memory_bytes, demand.offset_bytes}) {
    if (kDirectAlignment % bytes == 0) continue;
    return absl::StrFormat("the device demands alignment to %d bytes, pages have %d", bytes,
                           kDirectAlignment);
  }
  return "";
}

std::string MakeDirect(int descriptor) {
  // Newer kernels accept O_DIRECT on tmpfs, where it means nothing.
  struct statfs system;
  if (::fstatfs(descriptor, &system) == 0 && system.f_type == TMPFS_MAGIC) {
    return "tmpfs is memory";
  }
  const absl::optional<DirectDemand> demand = AskForDemand(descriptor);
  if (demand.has_value()) {
    if (std::string why = WhyNotDirect(*demand); !why.empty()) return why;
  }
  const int flags = ::fcntl(descriptor, F_GETFL);
  if (flags < 0 || ::fcntl(descriptor, F_SETFL, flags | O_DIRECT) != 0) return Refused(errno);
  if (demand.has_value() || !RefusesToRead(descriptor)) return "";
  if (::fcntl(descriptor, F_SETFL, flags) != 0) return Refused(errno);
  return Refused(EINVAL);
}

}  // namespace slipstream::storage
