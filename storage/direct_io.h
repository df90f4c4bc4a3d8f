// Direct I/O: whether a file's bytes can pass the page cache by, and if not, why.
//
// What Linux says and does about O_DIRECT, kept apart from posix_file_system.h so that its rules
// can be tested without the device that they are about. The contract of callers is OpenDirect's in
// file_system.h.
#ifndef SLIPSTREAM_STORAGE_DIRECT_IO_H_
#define SLIPSTREAM_STORAGE_DIRECT_IO_H_

#include <cstdint>
#include <string>

namespace slipstream::storage {

// What direct I/O on a file must be aligned to, as statx (STATX_DIOALIGN) says. Zeros: the file
// system does none on this file.
struct DirectDemand {
  uint32_t memory_bytes = 0;
  uint32_t offset_bytes = 0;
};

// Returns why transfers that are aligned to kDirectAlignment do not meet `demand`; empty if they
// do.
std::string WhyNotDirect(const DirectDemand& demand);

// Makes all further I/O on `descriptor` direct and returns nothing; or leaves it buffered and
// returns why. Where the kernel does not say what it demands, one page is read to see.
std::string MakeDirect(int descriptor);

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_DIRECT_IO_H_
