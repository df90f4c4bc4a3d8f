// What a replica asks of a record that a peer hands it, beyond what the wire's form says.
#ifndef SLIPSTREAM_NODE_RECORD_CHECK_H_
#define SLIPSTREAM_NODE_RECORD_CHECK_H_

#include <cstddef>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/version.h"
#include "storage/entry.h"

namespace slipstream::node {

// All functions here are thread-safe.

// INVALID_ARGUMENT (MESSAGE_INVALID) if no replica can have written `record`: a size out of bounds,
// a tombstone with a value, no version or no dot.
absl::Status CheckRecord(const storage::Record& record);

// As CheckRecord for each record of a group that is applied all or nothing; a key occurs only once.
absl::Status CheckGroup(absl::Span<const storage::Record> group);

// Whether `version` is from further ahead than `clock_skew_max` of the wall clock: to take it over
// would drag this node's clock along.
bool IsFromFuture(const base::Version& version, absl::Time now, absl::Duration clock_skew_max);

// Key and value bytes.
size_t PayloadBytes(const storage::Record& record);

// At least the bytes that `record` takes in a message.
size_t MessageBytes(const storage::Record& record);

}  // namespace slipstream::node

#endif  // SLIPSTREAM_NODE_RECORD_CHECK_H_
