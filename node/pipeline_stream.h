// The Pipeline call: takes groups of operations while earlier ones wait to be durable, and answers
// them in order.
#ifndef SLIPSTREAM_NODE_PIPELINE_STREAM_H_
#define SLIPSTREAM_NODE_PIPELINE_STREAM_H_

#include <cstddef>

#include "grpcpp/server_context.h"
#include "grpcpp/support/server_callback.h"
#include "node/serving.h"
#include "slipstream/v1/kv.pb.h"

namespace slipstream::node {

// Groups of one stream that were run and are not answered, and their bytes: beyond either, the next
// group is read when one has been answered. Besides, one is being run and one read.
inline constexpr size_t kPipelineGroupsMax = 16;
inline constexpr size_t kPipelineBytesMax = 8 << 20;

// `serving` must outlive the call. A group that breaks a limit ends the stream with
// INVALID_ARGUMENT (BATCH_SIZE) after the earlier ones were answered; the end of the node's life
// ends it with UNAVAILABLE (DRAINING) likewise.
grpc::ServerBidiReactor<v1::PipelineRequest, v1::PipelineResponse>* StartPipeline(
    const Serving* serving, grpc::CallbackServerContext* context);

}  // namespace slipstream::node

#endif  // SLIPSTREAM_NODE_PIPELINE_STREAM_H_
