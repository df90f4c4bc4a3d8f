#include "cli/verdict.h"

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "slipstream/v1/admin.pb.h"

namespace slipstream::cli {
namespace {

void AddNode(absl::string_view name, char root, uint64_t key_count, v1::RootResponse& roots) {
  v1::RootResponse::NodeRoot& node = *roots.add_nodes();
  node.set_name(std::string(name));
  node.set_endpoint("127.0.0.1:1");
  node.set_root(std::string(32, root));
  node.set_key_count(key_count);
  node.set_reachable(true);
}

void AddSilentNode(absl::string_view name, absl::string_view error, v1::RootResponse& roots) {
  v1::RootResponse::NodeRoot& node = *roots.add_nodes();
  node.set_name(std::string(name));
  node.set_endpoint("127.0.0.1:9");
  node.set_error(std::string(error));
}

TEST(VerdictTest, SaysThatAllAgree) {
  v1::RootResponse roots;
  AddNode("n1", 'A', 12345, roots);
  AddNode("n2", 'A', 12345, roots);
  AddNode("n3", 'A', 12345, roots);
  const Verdict verdict = Judge(roots);
  EXPECT_TRUE(verdict.converged);
  EXPECT_EQ(verdict.text, "all 3 members agree on root 41414141… (12,345 keys)");
}

TEST(VerdictTest, DoesNotSayThatOneMemberAgreesWithItself) {
  v1::RootResponse roots;
  AddNode("n1", 'A', 1, roots);
  const Verdict verdict = Judge(roots);
  EXPECT_TRUE(verdict.converged);
  EXPECT_EQ(verdict.text, "the only member has root 41414141… (1 key)");
}

TEST(VerdictTest, NamesWhoDiffersGreatestCampFirst) {
  v1::RootResponse roots;
  AddNode("n1", 'B', 9, roots);
  AddNode("n2", 'A', 10, roots);
  AddNode("n3", 'A', 10, roots);
  const Verdict verdict = Judge(roots);
  EXPECT_FALSE(verdict.converged);
  EXPECT_EQ(verdict.text,
            "not converged: n2, n3 have root 41414141… (10 keys); n1 has root 42424242… (9 keys)");
}

TEST(VerdictTest, IsNotConvergedWhileAMemberIsSilent) {
  v1::RootResponse roots;
  AddNode("n1", 'A', 10, roots);
  AddNode("n2", 'A', 10, roots);
  AddSilentNode("n3", "UNAVAILABLE: last error: x: Connection refused", roots);
  const Verdict verdict = Judge(roots);
  EXPECT_FALSE(verdict.converged);
  EXPECT_EQ(verdict.text,
            "not converged: n3 does not answer (connection refused); "
            "n1, n2 have root 41414141… (10 keys)");
}

TEST(VerdictTest, UsesTheEndpointOfWhomItNeverHeard) {
  v1::RootResponse roots;
  AddNode("n1", 'A', 0, roots);
  AddSilentNode("", "", roots);
  EXPECT_EQ(Judge(roots).text,
            "not converged: 127.0.0.1:9 does not answer (no answer yet); "
            "n1 has root 41414141… (0 keys)");
}

TEST(VerdictTest, DoesNotTakeNobodyForAgreement) {
  const Verdict verdict = Judge({});
  EXPECT_FALSE(verdict.converged);
  EXPECT_EQ(verdict.text, "not converged: no member is known");
}

TEST(VerdictTest, LetsNoNameSteerTheTerminal) {
  v1::RootResponse roots;
  AddNode("n\x1b[2J", 'A', 1, roots);
  AddNode("n2", 'B', 1, roots);
  EXPECT_EQ(Judge(roots).text.find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace slipstream::cli
