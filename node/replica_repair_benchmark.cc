// What a repair session moves to mend d differences among 100,000 keys: half of the differences are
// on either side. Bytes are those of the encoded messages; "metadata" is all but keys and values.
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "benchmark/benchmark.h"
#include "node/replica.h"
#include "node/testing/replica_cluster.h"
#include "node/wire.h"

namespace slipstream::node {
namespace {

constexpr size_t kKeys = 100'000;
constexpr size_t kRoundTripsMax = 6;

size_t MetadataBytesMax(size_t differences) { return 400 + 1600 * differences; }

RepairStats Sum(const RepairStats& left, const RepairStats& right) {
  RepairStats sum = left;
  sum.round_trip_count += right.round_trip_count;
  sum.metadata_bytes += right.metadata_bytes;
  sum.received_record_count += right.received_record_count;
  sum.sent_record_count += right.sent_record_count;
  return sum;
}

void BM_Repair(benchmark::State& state) {
  const size_t differences = state.range(0);
  ReplicaCluster cluster(2);
  cluster.request_bytes = [](const PeerRequest& request) { return EncodeRequest(request).size(); };
  cluster.response_bytes = [](const PeerResponse& response) {
    return EncodeResponse(response).size();
  };
  cluster.Step();
  for (size_t index = 0; index < kKeys; ++index) {
    cluster.Put(0, absl::StrCat("key", index), "value");
    if (index % 1000 == 0) cluster.Step();
  }
  cluster.Run(absl::Seconds(3));
  SLIP_CHECK(cluster.Converged());
  size_t round = 0;
  for (auto _ : state) {
    state.PauseTiming();
    cluster.Isolate(1, true);
    cluster.Run(absl::Seconds(10));
    const RepairStats before = Sum(cluster.at(0).repair_stats(), cluster.at(1).repair_stats());
    ++round;
    for (size_t index = 0; index < differences; ++index) {
      cluster.Put(index % 2, absl::StrCat("key", (round * 7919 + index * 31) % kKeys),
                  absl::StrCat("round", round));
    }
    cluster.Isolate(1, false);
    state.ResumeTiming();
    cluster.Run(absl::Seconds(5));
    state.PauseTiming();
    SLIP_CHECK(cluster.Converged());
    const RepairStats after = Sum(cluster.at(0).repair_stats(), cluster.at(1).repair_stats());
    const uint64_t metadata_bytes = after.metadata_bytes - before.metadata_bytes;
    const uint64_t round_trips = after.round_trip_count - before.round_trip_count;
    state.counters["metadata_bytes"] = static_cast<double>(metadata_bytes);
    state.counters["bytes_per_difference"] =
        static_cast<double>(metadata_bytes) / static_cast<double>(differences);
    state.counters["round_trips"] = static_cast<double>(round_trips);
    state.counters["records"] =
        static_cast<double>(after.received_record_count + after.sent_record_count -
                            before.received_record_count - before.sent_record_count);
    if (metadata_bytes > MetadataBytesMax(differences)) state.SkipWithError("too many bytes");
    if (round_trips > kRoundTripsMax) state.SkipWithError("too many round trips");
    state.ResumeTiming();
  }
}
BENCHMARK(BM_Repair)->Arg(1)->Arg(10)->Arg(100)->Arg(1000)->Iterations(5)->Unit(
    benchmark::kMillisecond);

}  // namespace
}  // namespace slipstream::node
