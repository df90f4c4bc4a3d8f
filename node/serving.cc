#include "node/serving.h"

#include <utility>

#include "node/real_clock.h"

namespace slipstream::node {

absl::StatusOr<storage::WriteResult> Serving::Write(absl::Span<const storage::Mutation> mutations,
                                                    storage::Atomicity atomicity) const {
  absl::StatusOr<storage::WriteResult> result = replica->Write(mutations, atomicity, WallNow());
  if (result.ok()) NoteWritten(mutations);
  return result;
}

absl::StatusOr<storage::WriteResult> Serving::Transact(
    absl::Span<const storage::Precondition> preconditions,
    absl::Span<const storage::Mutation> mutations, storage::Lsn* lsn) const {
  absl::StatusOr<storage::WriteResult> result =
      replica->Transact(preconditions, mutations, WallNow(), lsn);
  if (result.ok()) NoteWritten(mutations);
  return result;
}

absl::StatusOr<storage::WriteResult> Serving::CommitStream(
    absl::Span<const storage::Precondition> preconditions, storage::WriteStream& stream,
    storage::Lsn* lsn) const {
  absl::StatusOr<storage::WriteResult> result =
      replica->CommitStream(preconditions, stream, WallNow(), lsn);
  if (result.ok()) commits->NoteAppended(stream.bytes);
  return result;
}

void Serving::NoteWritten(absl::Span<const storage::Mutation> mutations) const {
  size_t bytes = 0;
  for (const storage::Mutation& mutation : mutations) {
    bytes += mutation.key.size() + mutation.value.size();
  }
  commits->NoteAppended(bytes);
  if (replica->has_outgoing()) protocol->Wake();
}

absl::StatusOr<PeerResponse> Serving::Answer(const PeerRequest& request, size_t request_bytes,
                                             storage::Lsn* lsn) const {
  absl::StatusOr<PeerResponse> response = replica->Answer(request, WallNow(), lsn);
  commits->NoteAppended(request_bytes);
  if (replica->has_outgoing()) protocol->Wake();
  return response;
}

}  // namespace slipstream::node
