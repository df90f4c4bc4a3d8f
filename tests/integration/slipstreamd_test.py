#!/usr/bin/python3
"""How slipstreamd starts, what it refuses, and how it ends."""

import os
import signal
import socket

import harness
from harness import slipctl


class StartTest(harness.TestCase):

  def test_tells_in_one_line_where_it_listens(self):
    node = self.daemon(flags=("--sync=interval:50",)).start()
    self.assertRegex(node.endpoint, r"^127\.0\.0\.1:[1-9]\d*$")
    self.assertIn("n1", node.ready_line)
    status = node.status()
    for part in ("n1", node.directory, status["actor"], "interval:50", "0" * 64):
      self.assertIn(part, node.log() + node.ready_line)

  def test_starts_alone_without_a_list_of_peers(self):
    node = self.daemon().start()
    self.assertEqual(slipctl("root", endpoint=node.endpoint).code, 0)

  def test_keeps_everything_over_a_restart(self):
    node = self.daemon().start()
    for i in range(20):
      slipctl("put", f"k{i}", f"v{i}", endpoint=node.endpoint)
    slipctl("delete", "k0", endpoint=node.endpoint)
    root = node.root()
    version = slipctl("get", "k1", "-o", "json", endpoint=node.endpoint).json["version"]
    self.assertEqual(node.stop(), 0)
    node.start()
    self.assertEqual(node.root(), root)
    self.assertEqual(slipctl("get", "k1", "-o", "json", endpoint=node.endpoint).json["version"],
                     version)
    self.assertEqual(slipctl("get", "k0", endpoint=node.endpoint).code, 3)
    status = node.status()
    self.assertEqual((status["key_count"], status["tombstone_count"]), (19, 1))

  def test_gives_greater_versions_after_a_restart(self):
    node = self.daemon().start()
    first = slipctl("put", "a", "1", "-o", "raw", endpoint=node.endpoint).text
    node.kill()
    node.start()
    second = slipctl("put", "a", "2", "-o", "raw", endpoint=node.endpoint).text
    self.assertLess(first, second)

  def test_takes_greater_values_if_told_so(self):
    node = self.daemon(flags=("--value-bytes-max=8388608",)).start()
    value = b"x" * (8 << 20)
    result = slipctl("put", "a", "--value-file", "-", "--timeout", "10s", stdin=value,
                     endpoint=node.endpoint)
    self.assertEqual(result.code, 0, result)
    self.assertEqual(slipctl("get", "a", "-o", "raw", "--timeout", "10s",
                             endpoint=node.endpoint).out, value)

  def test_writes_its_log_as_json(self):
    node = self.daemon(flags=("--log-format=json",)).start()
    node.stop()
    lines = node.log().splitlines()
    self.assertTrue(lines)
    for line in lines:
      self.assertRegex(line, r'^\{".*\}$')


class StopTest(harness.TestCase):

  def test_ends_well_on_sigterm_and_sigint(self):
    for number in (signal.SIGTERM, signal.SIGINT):
      node = self.daemon(f"n{int(number)}", flags=("--sync=none",)).start()
      slipctl("put", "a", "1", endpoint=node.endpoint)
      node.signal(number)
      self.assertEqual(node.stop(), 0, node.log())
      # It synced: nothing was left to a policy that syncs never.
      node.start()
      self.assertEqual(slipctl("get", "a", endpoint=node.endpoint).out, b"1\n")
      self.assertEqual(node.status()["recovery"], [])

  def test_ends_while_clients_are_connected(self):
    node = self.daemon().start()
    # A client that keeps its connection and says nothing.
    host, port = node.endpoint.split(":")
    with socket.create_connection((host, int(port))):
      self.assertEqual(node.stop(), 0)


class RefusalTest(harness.TestCase):

  def refused(self, *flags: str, directory: str = "data", **options) -> str:
    """Starts a daemon that must not start; returns its one line on standard error."""
    node = self.daemon(directory, flags=flags, **options)
    node.log_path = self.path("log")
    with self.assertRaises(harness.StartError) as raised:
      node.start()
    error = raised.exception.error
    self.assertNotEqual(raised.exception.code, 0)
    self.assertGreater(raised.exception.code, 0, "ended by a signal")
    self.assertEqual(error.count("\n"), 1, error)
    return error

  def test_refuses_a_directory_that_is_in_use(self):
    node = self.daemon("data").start()
    self.assertIn(node.directory, self.refused())
    self.assertEqual(slipctl("root", endpoint=node.endpoint).code, 0)

  def test_refuses_a_directory_with_other_files(self):
    os.mkdir(self.path("data"))
    with open(self.path("data/thesis.txt"), "w", encoding="ascii") as file:
      file.write("not yours")
    self.assertIn(self.path("data"), self.refused())
    with open(self.path("data/thesis.txt"), encoding="ascii") as file:
      self.assertEqual(file.read(), "not yours")

  def test_refuses_a_directory_that_it_cannot_make(self):
    with open(self.path("data"), "w", encoding="ascii") as file:
      file.write("not a directory")
    self.assertIn(self.path("data"), self.refused())

  def test_refuses_a_directory_that_it_cannot_write(self):
    # Not even root makes directories there.
    self.assertIn("/sys/slipstream", self.refused(directory="/sys/slipstream"))
    os.mkdir(self.path("data"), mode=0o500)
    if not os.access(self.path("data"), os.W_OK):
      self.assertIn(self.path("data"), self.refused())

  def test_refuses_a_port_that_is_in_use(self):
    with socket.create_server(("127.0.0.1", 0)) as server:
      port = server.getsockname()[1]
      error = self.refused(listen=f"127.0.0.1:{port}")
    self.assertIn(f"127.0.0.1:{port}", error)
    self.assertIn("in use", error)

  def test_refuses_an_address_beyond_loopback(self):
    for address in ("0.0.0.0:0", "[::]:0", "192.0.2.1:0"):
      error = self.refused(listen=address)
      self.assertIn("--insecure-allow-remote", error)

  def test_refuses_peers_that_it_cannot_parse(self):
    self.assertIn("nonsense", self.refused("--peers=127.0.0.1:1,nonsense"))
    self.assertIn("127.0.0.1:99999", self.refused("--peers=127.0.0.1:99999"))

  def test_refuses_flags_and_values_that_it_does_not_know(self):
    self.assertIn("--peer", self.refused("--peer=127.0.0.1:1"))
    self.assertIn("sometimes", self.refused("--sync=sometimes"))
    self.assertIn("interval:", self.refused("--sync=interval:"))
    self.assertIn("1x", self.refused("--gossip-interval=1x"))
    self.assertIn("xml", self.refused("--log-format=xml"))
    self.assertIn("9000000", self.refused("--value-bytes-max=9000000"))

  def test_ends_with_2_for_a_wrong_command_line_and_1_for_what_it_meets(self):
    for flags, code in ((("--sync=sometimes",), 2), (("--no-such-flag",), 2)):
      with self.assertRaises(harness.StartError) as raised:
        self.daemon(flags=flags).start()
      self.assertEqual(raised.exception.code, code)
    self.daemon("data").start()
    with self.assertRaises(harness.StartError) as raised:
      self.daemon("data").start()
    self.assertEqual(raised.exception.code, 1)


if __name__ == "__main__":
  harness.main()
