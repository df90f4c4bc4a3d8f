// InspectSource: the bytes of a file that is inspected, read in pieces: a file may be larger than
// memory.
//
// Takes no lock and writes nothing, so that it can look at the directory of a running node.
#ifndef SLIPSTREAM_CLI_INSPECT_SOURCE_H_
#define SLIPSTREAM_CLI_INSPECT_SOURCE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace slipstream::cli {

// What is read at once where the format does not ask for more.
inline constexpr size_t kInspectPieceBytes = 1 << 20;

// Thread-compatible.
class InspectSource {
 public:
  virtual ~InspectSource() = default;

  // The length when it was opened.
  virtual uint64_t size() const = 0;

  // Returns `count` bytes at `offset`, all of them before size(). UNKNOWN, with the system's
  // reason, if they cannot be read.
  virtual absl::StatusOr<std::string> Read(uint64_t offset, size_t count) const = 0;
};

// Bytes in memory.
class MemorySource : public InspectSource {
 public:
  explicit MemorySource(std::string bytes) : bytes_(std::move(bytes)) {}

  uint64_t size() const override { return bytes_.size(); }
  absl::StatusOr<std::string> Read(uint64_t offset, size_t count) const override;

 private:
  const std::string bytes_;
};

// Opens a regular file. NOT_FOUND if there is none; UNKNOWN, with the system's reason, for any
// other error.
absl::StatusOr<std::unique_ptr<InspectSource>> OpenInspectSource(const std::string& path);

// Returns whether `path` is a directory; errors as above.
absl::StatusOr<bool> IsDirectory(const std::string& path);

// Calls `visit` for all bytes from `begin` to `end`, which is not after the end of `source`, in
// pieces of kInspectPieceBytes; stops at its first error.
absl::Status VisitPieces(
    const InspectSource& source, uint64_t begin, uint64_t end,
    absl::FunctionRef<absl::Status(uint64_t offset, absl::string_view piece)> visit);

// Returns the CRC32C of the bytes from `begin` to `end`; bounds and errors as above.
absl::StatusOr<uint32_t> CrcOf(const InspectSource& source, uint64_t begin, uint64_t end);

// Returns where the first byte that is not zero stands from `begin` on, size() if there is none.
absl::StatusOr<uint64_t> FindNonZero(const InspectSource& source, uint64_t begin);

}  // namespace slipstream::cli

#endif  // SLIPSTREAM_CLI_INSPECT_SOURCE_H_
