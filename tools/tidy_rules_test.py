#!/usr/bin/env python3
"""Each rule of tidy.py sees its offence, and lets the nearest innocent pass."""

import unittest

import tidy

GUARDED = "#ifndef SLIPSTREAM_BASE_A_H_\n#define SLIPSTREAM_BASE_A_H_\n{}\n#endif\n"
PRIVATE = 'package(default_visibility = ["//visibility:private"])\n'

# (path, text, what the one message holds)
OFFENCES = [
    ("base/a.cc", "x" * 101, "at most 100"),
    ("base/a.cc", "\n" * 601, "601 lines, at most 600"),
    ("base/a.h", GUARDED.format("\n" * 247), "251 lines, at most 250"),
    ("base/a.h", "#ifndef A_H_\n#define A_H_\n#endif\n", "SLIPSTREAM_BASE_A_H_"),
    ("base/a.h", "#pragma once\n", "SLIPSTREAM_BASE_A_H_"),
    ("tools/a.sh", "# FIX" + "ME: later", "mend it"),
    ("base/a.cc", "// TO" + "DO: later", "issue-N"),
    ("base/a.cc", "// TO" + "DO(anna): later", "issue-N"),
    ("base/a.cc", "void F(std::string_view s);", "absl::string_view"),
    ("node/a.cc", "std::random_device device;", "base::Random"),
    ("node/a.cc", "int i = rand();", "base::Random"),
    ("merkle/a.cc", "Tick(absl::Now());", "time as an argument"),
    ("storage/a_test.cc", "auto t = std::chrono::steady_clock::now();", "time as an argument"),
    ("node/replica.cc", "Tick(absl::Now());", "time as an argument"),
    ("node/server_test.cc", "absl::SleepFor(absl::Seconds(1));", "the event itself"),
    ("tests/sim/cluster.cc", "std::this_thread::sleep_for(1s);", "the event itself"),
    ("base/a_test.cc", "TEST(ATest, DISABLED_Works) {}", "mend the test"),
    ("base/a_test.cc", "GTEST_SKIP();", "mend the test"),
    ("storage/a.cc", "#include <thread>", "starts no thread"),
    ("storage/a.h", GUARDED.format("#include <random>").replace("BASE", "STORAGE"), "base::Random"),
    ("gossip/a.cc", '#include "grpcpp/server.h"', "stay out of the core"),
    ("gossip/a_test.cc", '#include "slipstream/v1/peer.pb.h"', "stay out of the core"),
    ("base/a.cc", "#include <google/protobuf/message.h>", "stay out of the core"),
    ("merkle/a.cc", "#include <openssl/evp.h>", "base/digest.h"),
    ("node/a.cc", "#include <zstd.h>", "storage compresses"),
    ("storage/a.cc", '#include "leveldb/db.h"', "to be compared with"),
    ("base/a.cc", "int F() {" + "\n" * 70 + "}", "71 lines, at most 70"),
    ("base/a.cc", "A::A()\n    : b_{1}, c_{2} {" + "\n" * 70 + "}", "71 lines, at most 70"),
    ("base/a.cc", "namespace a {\nclass B {\n void F() {" + "\n" * 70 + "}\n};\n}", "at most 70"),
    ("base/a.cc", "template <class T>\nT F() {" + "\n" * 70 + "}", "at most 70"),
    ("base/BUILD.bazel", "", "open with package"),
    ("base/BUILD.bazel", PRIVATE + '"//visibility:' + 'public"', "nothing is public"),
]

INNOCENTS = [
    ("base/a.cc", "x" * 100),
    ("base/a.cc", "\n" * 600),
    ("base/a.h", GUARDED.format("\n" * 246)),
    ("base/a.cc", "// TO" + "DO(issue-12): when the format changes."),
    ("base/a.cc", "// Not a std::string_view, and no rand() nor absl::Now()."),
    ("base/a.cc", 'Log("std::random_device"); int million = 1\'000\'000;'),
    ("base/a.cc", "uint64_t x = random_->Next(); y = Brand();"),
    ("node/server.cc", "Tick(absl::Now());"),
    ("node/server.cc", "#include <thread>"),
    ("base/a_test.cc", "#include <thread>"),
    ("node/wire.cc", '#include "slipstream/v1/peer.pb.h"'),
    ("base/digest.cc", "#include <openssl/evp.h>"),
    ("storage/codec.cc", "#include <zstd.h>"),
    ("tests/bench/engine/a.cc", '#include "lmdb.h"'),
    ("base/a.cc", "int F() {" + "\n" * 69 + "}"),
    ("base/a.cc", "namespace a {" + "\n" * 99 + "}"),
    ("base/a.cc", "constexpr int kTable[] = {" + "\n" * 99 + "};"),
    ("base/a.cc", "int F() { return '{'; }" + "\n" * 99 + 'int G() { return "}"; }'),
    ("base/BUILD.bazel", PRIVATE),
    ("bazel/rules_cc/cc/BUILD.bazel", '"//visibility:' + 'public"'),
]


class TidyTest(unittest.TestCase):

  def test_sees_each_offence_once(self):
    for path, text, message in OFFENCES:
      with self.subTest(path=path, text=text[:60]):
        found = [message for _, message in tidy.check(path, text)]
        self.assertEqual(len(found), 1, found)
        self.assertIn(message, found[0])

  def test_lets_innocents_pass(self):
    for path, text in INNOCENTS:
      with self.subTest(path=path, text=text[:60]):
        self.assertEqual(list(tidy.check(path, text)), [])

  def test_names_the_line(self):
    self.assertEqual([line for line, _ in tidy.check("base/a.cc", "\n\nint i = rand();")], [3])
    self.assertEqual([line for line, _ in tidy.check("a.cc", "\nint F() {" + "\n" * 70 + "}")], [2])


if __name__ == "__main__":
  unittest.main()
