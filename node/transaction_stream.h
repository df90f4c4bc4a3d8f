// The Transaction call: one transaction, step by step, on one stream.
#ifndef SLIPSTREAM_NODE_TRANSACTION_STREAM_H_
#define SLIPSTREAM_NODE_TRANSACTION_STREAM_H_

#include "grpcpp/server_context.h"
#include "grpcpp/support/server_callback.h"
#include "node/serving.h"
#include "slipstream/v1/kv.pb.h"

namespace slipstream::node {

// `serving` must outlive the call. Takes one step at a time and answers it before it reads the
// next. However the stream ends without an answer to a commit, whether by an error, the client's
// going, its silence or the end of the node's life, nothing was written, but for an answer that was
// lost on its way.
grpc::ServerBidiReactor<v1::TransactionRequest, v1::TransactionResponse>* StartTransaction(
    const Serving* serving, grpc::CallbackServerContext* context);

}  // namespace slipstream::node

#endif  // SLIPSTREAM_NODE_TRANSACTION_STREAM_H_
