// What a replica is told at its start and what it tells: options, calls, figures. Behaviour:
// replica.h, through which all of this is meant to be included.
#ifndef SLIPSTREAM_NODE_REPLICA_TYPES_H_
#define SLIPSTREAM_NODE_REPLICA_TYPES_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "node/peer_messages.h"
#include "storage/entry.h"
#include "storage/options.h"
#include "storage/scrub_progress.h"

namespace slipstream::node {

using PeerIndex = size_t;  // Into ReplicaOptions::peers.
using CallId = uint64_t;

// A request to a peer. Every call is answered once with OnReply, by the peer's response or by an
// error (DEADLINE_EXCEEDED after `timeout`, UNAVAILABLE).
struct PeerCall {
  CallId call_id = 0;
  PeerIndex peer = 0;
  PeerRequest request;
  storage::Lsn release_lsn = 0;  // Send when durable_lsn() has reached this.
  absl::Duration timeout;
};

struct Outbox {
  std::vector<PeerCall> calls;
};

struct ReplicaOptions {
  std::string name;                // For people; need not be unique.
  std::vector<std::string> peers;  // Endpoints of the other members; this node's own may be among
                                   // them: a peer that turns out to be itself is left out.
  absl::Duration gossip_interval = absl::Seconds(1);
  absl::Duration call_timeout = absl::Seconds(5);
  // Records from further ahead of the wall clock than this are held back.
  absl::Duration clock_skew_max = absl::Seconds(60);
  size_t sessions_max = 2;             // Reconciliation sessions under way, at most one a peer.
  size_t message_bytes_max = 1 << 20;  // A response or push is cut before this, but for one record.
  size_t push_queue_bytes_max = 8 << 20;  // For each peer; beyond, records are left to repair.
  size_t push_calls_max = 2;              // Under way for each peer.
  storage::Options storage;
};

// Totals since Open, of the sessions that this node started.
struct RepairStats {
  uint64_t session_count = 0;         // Ended well.
  uint64_t failed_session_count = 0;  // Ended early.
  uint64_t round_trip_count = 0;      // Answered calls.
  uint64_t metadata_bytes = 0;        // Of their messages, but for keys and values of records.
  uint64_t received_record_count = 0;
  uint64_t received_record_bytes = 0;  // Keys and values.
  uint64_t sent_record_count = 0;
  uint64_t sent_record_bytes = 0;
  // Records that came to this node, in its sessions or by its peers' pushes, from too far ahead.
  uint64_t held_back_record_count = 0;
};
struct PushStats {
  uint64_t pushed_record_count = 0;    // Answered for by the peer.
  uint64_t dropped_record_count = 0;   // Given up; repair brings them over.
  uint64_t received_record_count = 0;  // Applied.
};

// What a step of Replica::Scrub did, and found.
struct ScrubStep {
  storage::ScrubProgress store;
  size_t tree_difference_count = 0;  // Buckets of the tree that were not what the entries give.
};

// A peer as this replica sees it.
struct MemberState {
  std::string endpoint;
  bool self = false;                    // The endpoint led back to this node.
  bool reachable = false;               // Answered the last exchange of roots.
  absl::optional<NodeSummary> summary;  // The last one heard.
  absl::optional<absl::Time> last_seen;
  absl::Status error;         // Why it is not reachable.
  absl::Status repair_error;  // Why the last repair session with it failed, if it did.
};

}  // namespace slipstream::node

#endif  // SLIPSTREAM_NODE_REPLICA_TYPES_H_
