#!/usr/bin/python3
"""tools/demo.sh shows what it promises and leaves nothing behind; with --keep, a cluster."""

import os
import re
import subprocess

import harness
from harness import slipctl

DEMO = os.path.abspath(os.path.join("tools", "demo.sh"))
SECONDS_MAX = 240
# Twice what memory takes, about. The million of those who watch takes too long in a test build.
MANY_KEYS = 250_000


class DemoTest(harness.TestCase):

  def demo(self, *flags: str) -> str:
    """Runs the demo with the binaries under test; returns what it printed."""
    binaries = os.path.dirname(os.path.dirname(harness.SLIPCTL))
    done = subprocess.run([DEMO, "--binaries", binaries, "--many-keys", str(MANY_KEYS), *flags],
                          text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SECONDS_MAX,
                          stdin=subprocess.DEVNULL, env=harness.environment(TMPDIR=self.directory))
    self.assertEqual(done.returncode, 0, done.stdout)
    return done.stdout

  def test_shows_the_whole_story(self):
    text = self.demo()
    agreements = re.findall(r"(?m)^all 3 members agree on root \w+… \(([\d,]+) keys\)$", text)
    counts = [int(count.replace(",", "")) for count in agreements]
    self.assertEqual(len(counts), 2)
    self.assertGreaterEqual(counts[0], 10_000)
    self.assertEqual(counts[1], counts[0] + 100)
    self.assertRegex(text, r"(?m)^not converged: n3 does not answer \(.*\); n1")
    repaired = re.search(r"(?m)^the repair +(\S+) keys, .* bytes to find them:$", text)
    self.assertGreaterEqual(int(repaired.group(1).replace(",", "")), 500)
    self.assertRegex(text, r"(?m)^slipctl: key .* not found$")
    self.assertRegex(text, r"(?m)^proven: key .* is present$")
    index = re.search(r"(?m)^index +([\d,]+) keys in memory \(.*?\), ([\d,]+) on disk alone;", text)
    in_memory, on_disk = (int(count.replace(",", "")) for count in index.groups())
    self.assertLess(in_memory, MANY_KEYS * 3 // 4)
    self.assertGreaterEqual(on_disk, MANY_KEYS // 4)
    self.assertIn("this is the value of item number 250000", text)
    self.assertRegex(text, r"(?m)^\(the root is what it was\)$")
    # Every node has ended, and no file is left.
    for endpoint in set(re.findall(r"127\.0\.0\.1:\d+", text)):
      self.assertEqual(slipctl("status", endpoint=endpoint).code, 4)
    self.assertEqual(os.listdir(self.directory), [])

  def test_leaves_the_cluster_running_if_asked_to(self):
    text = self.demo("--keep")
    [stop] = re.findall(r"(?m)^To stop it: (.*)$", text)
    [endpoints] = re.findall(r"(?m)^export SLIPCTL_ENDPOINT=(.*)$", text)
    try:
      self.assertEqual(slipctl("root", endpoint=endpoints).code, 0)
      self.assertEqual(slipctl("put", "greeting", "hello", endpoint=endpoints).code, 0)
    finally:
      subprocess.run(["sh", "-c", stop], check=True)
    for endpoint in endpoints.split(","):
      harness.wait_until(lambda: slipctl("status", endpoint=endpoint).code == 4,
                         harness.STOP_SECONDS_MAX, f"{endpoint} has stopped")

  def test_refuses_what_it_does_not_know(self):
    done = harness.run([DEMO, "--keeep"])
    self.assertEqual((done.code, done.text), (2, ""))
    self.assertIn("--keeep", done.error)


if __name__ == "__main__":
  harness.main()
