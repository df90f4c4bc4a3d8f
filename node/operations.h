// The operations of batches and pipelined groups: checks them and runs them. Knows no gRPC.
#ifndef SLIPSTREAM_NODE_OPERATIONS_H_
#define SLIPSTREAM_NODE_OPERATIONS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/repeated_ptr_field.h"
#include "node/serving.h"
#include "slipstream/v1/kv.pb.h"
#include "storage/entry.h"
#include "storage/options.h"
#include "storage/precondition.h"

namespace slipstream::node {

using Operations = google::protobuf::RepeatedPtrField<v1::Operation>;
using Preconditions = google::protobuf::RepeatedPtrField<v1::Precondition>;

// All functions are thread-safe.

// INVALID_ARGUMENT (KEY_SIZE) unless `key` is within its limit.
absl::Status CheckKeySize(absl::string_view key, const storage::Limits& limits);

// INVALID_ARGUMENT: BATCH_SIZE if there are more operations or bytes of keys and values than one
// batch may hold.
absl::Status CheckBatch(const Operations& operations, const storage::Limits& limits);

// INVALID_ARGUMENT (MESSAGE_INVALID) unless `operation` is a put, a get or a delete, and has a
// value and a ttl only if it is a put.
absl::Status CheckKind(const v1::Operation& operation);

// The longest time to live: ten years.
inline constexpr absl::Duration kTtlMax = absl::Hours(24 * 3650);

// Returns the Unix milliseconds, rounded up, at which `ttl` from `now` is over. INVALID_ARGUMENT
// (MESSAGE_INVALID) unless it is well-formed, longer than 0 and at most kTtlMax.
absl::StatusOr<uint64_t> ExpiryOf(const google::protobuf::Duration& ttl, absl::Time now);

// Returns the writes of a batch at `now`, which refer to the operations' bytes. INVALID_ARGUMENT
// naming the operation: MESSAGE_INVALID if it is no write. Sizes are left to the engine.
absl::StatusOr<std::vector<storage::Mutation>> MutationsOf(const Operations& operations,
                                                           absl::Time now);

// Returns the preconditions, which refer to the messages' bytes. INVALID_ARGUMENT naming the one:
// MESSAGE_INVALID if it has no condition. Sizes are left to the engine.
absl::StatusOr<std::vector<storage::Precondition>> PreconditionsOf(const Preconditions& messages);

// A group of operations being run, which CheckBatch has passed: in order, each with its own
// outcome. Writes that follow each other become one write of the engine, each for itself. Once the
// values read fill an answer, further gets are RESOURCE_EXHAUSTED (ANSWER_SIZE). Not thread-safe.
class GroupRun {
 public:
  // Fills `response`, which is empty. All must outlive the run.
  GroupRun(const Serving* serving, const v1::PipelineRequest* request,
           v1::PipelineResponse* response);

  enum class Reads { kInMemory, kAlsoFromDisk };
  // Runs what is left, for kInMemory up to a get that may have to wait for the disk; returns
  // whether that was all.
  bool Run(Reads reads);

  // What must be durable before the response may leave.
  storage::Lsn lsn() const { return lsn_; }

 private:
  void Gather(const v1::Operation& operation, v1::PipelineResponse::Result& result);
  void WriteGathered();
  bool GetFromMemory(const v1::Operation& operation);
  void GetConsecutive();
  void AnswerGet(storage::ReadResult read, v1::PipelineResponse::Result& result);

  const Serving& serving_;
  const v1::PipelineRequest& request_;
  v1::PipelineResponse& response_;
  int next_ = 0;  // Of the request's operations.
  storage::Lsn lsn_ = 0;
  size_t value_bytes_ = 0;
  std::vector<storage::Mutation> mutations_;  // Writes since the last get, and their results.
  std::vector<v1::PipelineResponse::Result*> mutation_results_;
};

}  // namespace slipstream::node

#endif  // SLIPSTREAM_NODE_OPERATIONS_H_
