// Snapshots among replicas: the root that names one is the tree's, and a node that is restored from
// an old one learns what happened since, deletes too, and tells the others nothing that is over.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "base/digest.h"
#include "base/random.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "node/merkle_entry_hasher.h"
#include "node/replica.h"
#include "node/snapshot_saver.h"
#include "node/testing/replica_cluster.h"
#include "storage/engine.h"
#include "storage/memory_file_system.h"
#include "storage/snapshot.h"
#include "storage/snapshot_restore.h"

namespace slipstream::node {
namespace {

using ::testing::Optional;

constexpr absl::string_view kBackup = "/backup";

class ReplicaSnapshotTest : public testing::Test {
 protected:
  // Three replicas that agree on some keys.
  void SetUp() override {
    cluster_.Step();
    for (int i = 0; i < 200; ++i) cluster_.Put(0, absl::StrCat("key", i), absl::StrCat("old", i));
    cluster_.Run(absl::Seconds(5));
    ASSERT_TRUE(cluster_.Converged());
  }

  absl::StatusOr<storage::SavedSnapshot> Save(size_t index) {
    SnapshotSaver saver(&cluster_.disk(index), &cluster_.at(index), "data");
    return saver.Save(kBackup, cluster_.now());
  }

  // Replaces the data directory of a replica by what the snapshot on its disk holds.
  void Restore(size_t index, absl::string_view snapshot) {
    cluster_.Kill(index);
    storage::MemoryFileSystem& disk = cluster_.disk(index);
    ASSERT_OK_AND_ASSIGN(const std::vector<std::string> names, disk.ListDirectory("data"));
    for (const std::string& name : names) ASSERT_OK(disk.Remove(absl::StrCat("data/", name)));
    base::Random rng(77);
    MerkleEntryHasher hasher;
    ASSERT_OK(storage::RestoreSnapshot(&disk, snapshot, "data", &rng, cluster_.now(), hasher));
    cluster_.Start(index);
  }

  ReplicaCluster cluster_{3};
};

TEST_F(ReplicaSnapshotTest, IsNamedByTheRootOfTheTree) {
  ASSERT_OK_AND_ASSIGN(const storage::SavedSnapshot saved, Save(1));
  EXPECT_EQ(saved.file.header.root, cluster_.Root(1));
  EXPECT_EQ(saved.file.header.key_count, 200u);
  EXPECT_EQ(saved.file.node_name, "name1");
}

TEST_F(ReplicaSnapshotTest, RestoredItHasTheSameRootAsANewNode) {
  ASSERT_OK_AND_ASSIGN(const storage::SavedSnapshot saved, Save(2));
  cluster_.Isolate(2, true);
  Restore(2, saved.path);
  EXPECT_EQ(cluster_.Root(2), saved.file.header.root);
  EXPECT_NE(cluster_.at(2).engine().node_id(), saved.file.header.node_id);
  EXPECT_NE(static_cast<uint64_t>(cluster_.at(2).engine().actor()), saved.file.header.actor);
}

TEST_F(ReplicaSnapshotTest, RestoringAnOldOneBringsNoDeletedKeyBack) {
  ASSERT_OK_AND_ASSIGN(const storage::SavedSnapshot saved, Save(2));
  for (int i = 0; i < 50; ++i) cluster_.Delete(0, absl::StrCat("key", i));
  for (int i = 50; i < 60; ++i) cluster_.Put(1, absl::StrCat("key", i), "new");
  cluster_.Run(absl::Seconds(5));
  ASSERT_TRUE(cluster_.Converged());
  const base::Digest root = cluster_.Root(0);
  cluster_.Isolate(2, true);
  Restore(2, saved.path);
  // It has what was deleted, as long as it is alone.
  ASSERT_THAT(cluster_.Get(2, "key0"), Optional(std::string("old0")));
  cluster_.Isolate(2, false);
  cluster_.Run(absl::Seconds(10));
  for (size_t index = 0; index < 3; ++index) {
    EXPECT_EQ(cluster_.Root(index), root) << index;
    for (int i = 0; i < 50; ++i) {
      EXPECT_EQ(cluster_.Get(index, absl::StrCat("key", i)), absl::nullopt) << index << " " << i;
    }
    EXPECT_THAT(cluster_.Get(index, "key55"), Optional(std::string("new")));
    EXPECT_THAT(cluster_.Get(index, "key60"), Optional(std::string("old60")));
  }
  // And what it writes from now on is new to all.
  cluster_.Put(2, "key0", "put again");
  cluster_.Run(absl::Seconds(5));
  EXPECT_TRUE(cluster_.Converged());
  EXPECT_THAT(cluster_.Get(0, "key0"), Optional(std::string("put again")));
}

TEST_F(ReplicaSnapshotTest, PathsThatMayNotBeAreRefused) {
  SnapshotSaver saver(&cluster_.disk(0), &cluster_.at(0), "/srv/data/");
  for (const absl::string_view path :
       {"", "relative", "/srv/data", "/srv/data/", "/srv/data/backup", "/srv/x/../data/./b"}) {
    EXPECT_THAT(saver.Save(path, cluster_.now()),
                base::testing::StatusIs(absl::StatusCode::kInvalidArgument))
        << path;
  }
  EXPECT_OK(saver.Save("/srv/data-backup", cluster_.now()));
  EXPECT_OK(saver.Save("/srv", cluster_.now()));
}

}  // namespace
}  // namespace slipstream::node
