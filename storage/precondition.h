// Precondition: what must hold of one key for a Transact to happen.
#ifndef SLIPSTREAM_STORAGE_PRECONDITION_H_
#define SLIPSTREAM_STORAGE_PRECONDITION_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/version.h"

namespace slipstream::storage {

// The views must live as long as the call they go to.
struct Precondition {
  enum class Kind : uint8_t {
    kAbsent,   // A read would not find the key: it was never put, is deleted or has expired.
    kPresent,  // A read would find it.
    kVersion,  // Its current record has this version and has not expired. May be a tombstone's.
    kValue,    // A read would find this value. Compared by digest: no disk.
  };
  Kind kind = Kind::kAbsent;
  absl::string_view key;
  base::Version version = {};    // For kVersion.
  absl::string_view value = {};  // For kValue.
};

// Returns ABORTED (TRANSACTION_CONFLICT) that names `key`, escaped and cut, and what is with it.
absl::Status ConflictOver(absl::string_view key, absl::string_view what);

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_PRECONDITION_H_
