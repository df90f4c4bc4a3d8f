// The Scan call: reads a page, sends it, and reads the next one when gRPC has taken it, so that a
// slow client costs one page of memory.
#ifndef SLIPSTREAM_NODE_SCAN_STREAM_H_
#define SLIPSTREAM_NODE_SCAN_STREAM_H_

#include "grpcpp/server_context.h"
#include "grpcpp/support/server_callback.h"
#include "node/serving.h"
#include "slipstream/v1/kv.pb.h"

namespace slipstream::node {

// `serving` must outlive the call. INVALID_ARGUMENT: KEY_SIZE for a prefix longer than any key,
// MESSAGE_INVALID for a page token that no scan has returned.
grpc::ServerWriteReactor<v1::ScanResponse>* StartScan(const Serving* serving,
                                                      grpc::CallbackServerContext* context,
                                                      const v1::ScanRequest& request);

}  // namespace slipstream::node

#endif  // SLIPSTREAM_NODE_SCAN_STREAM_H_
