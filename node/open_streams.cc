#include "node/open_streams.h"

namespace slipstream::node {

void OpenStreams::Add(DrainableStream* stream) {
  // Drain is called under the lock, here and below, so that the stream is there meanwhile.
  absl::MutexLock lock(&mutex_);
  streams_.insert(stream);
  if (draining_) stream->Drain();
}

void OpenStreams::Remove(DrainableStream* stream) {
  absl::MutexLock lock(&mutex_);
  streams_.erase(stream);
}

void OpenStreams::DrainAll() {
  absl::MutexLock lock(&mutex_);
  draining_ = true;
  for (DrainableStream* stream : streams_) stream->Drain();
}

}  // namespace slipstream::node
