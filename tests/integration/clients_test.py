#!/usr/bin/python3
"""Clients in other languages, written from the README's API section and DESIGN's definition of the
root: nothing here shares code with the node."""

import hashlib
import os
import re
import shutil

import grpc

import harness
from harness import slipctl, wait_until

kv_pb2, kv_pb2_grpc = harness.kv_stubs()

PUT_ON_ONE_GET_ON_ANOTHER_SECONDS_MAX = 10


def connect(endpoint: str):
  # Without a channel of its own, a test would find the connection of the one before.
  return grpc.insecure_channel(endpoint, options=[("grpc.use_local_subchannel_pool", 1)])


class PythonClientTest(harness.TestCase):

  def test_puts_on_one_node_and_gets_from_another(self):
    nodes = self.cluster(2)
    with connect(nodes[0].endpoint) as first, connect(nodes[1].endpoint) as second:
      put = kv_pb2_grpc.KvServiceStub(first).Put(
          kv_pb2.PutRequest(key=b"from python", value=b"\x00\xff"), timeout=2)

      def get():
        try:
          return kv_pb2_grpc.KvServiceStub(second).Get(
              kv_pb2.GetRequest(key=b"from python"), timeout=2)
        except grpc.RpcError as error:
          self.assertEqual(error.code(), grpc.StatusCode.NOT_FOUND)
          return None

      got = wait_until(get, PUT_ON_ONE_GET_ON_ANOTHER_SECONDS_MAX, "the other node has the key")
    self.assertEqual(got.value, b"\x00\xff")
    self.assertEqual(got.version, put.version)

  def test_runs_the_example_of_the_readme(self):
    with open("README.md", encoding="utf-8") as file:
      [example] = re.findall(r"```python\n(.*?)```", file.read(), re.DOTALL)
    node = self.daemon().start()
    self.assertIn('"127.0.0.1:7400"', example)
    printed = []
    exec(example.replace("127.0.0.1:7400", node.endpoint),  # pylint: disable=exec-used
         {"print": printed.append})
    self.assertEqual(printed, [b"1"])

  def test_learns_the_reason_of_an_error(self):
    node = self.daemon().start()
    with connect(node.endpoint) as channel:
      kv = kv_pb2_grpc.KvServiceStub(channel)
      for request, code, reason in (
          (kv_pb2.GetRequest(key=b"absent"), grpc.StatusCode.NOT_FOUND, "KEY_NOT_FOUND"),
          (kv_pb2.GetRequest(key=b""), grpc.StatusCode.INVALID_ARGUMENT, "KEY_SIZE")):
        with self.assertRaises(grpc.RpcError) as raised:
          kv.Get(request, timeout=2)
        self.assertEqual(raised.exception.code(), code)
        self.assertEqual(dict(raised.exception.trailing_metadata())["slipstream-reason"], reason)

  def test_writes_a_batch_and_reads_it_back(self):
    node = self.daemon().start()
    with connect(node.endpoint) as channel:
      kv = kv_pb2_grpc.KvServiceStub(channel)
      kv.Put(kv_pb2.PutRequest(key=b"gone", value=b"x"), timeout=2)
      batch = kv.BatchWrite(kv_pb2.BatchWriteRequest(operations=[
          kv_pb2.Operation(kind=kv_pb2.OPERATION_KIND_PUT, key=b"a", value=b"1"),
          kv_pb2.Operation(kind=kv_pb2.OPERATION_KIND_DELETE, key=b"gone")]), timeout=2)
      self.assertEqual(len(batch.versions), 2)
      items = kv.MultiGet(kv_pb2.MultiGetRequest(keys=[b"a", b"gone"]), timeout=2).items
    self.assertEqual([(item.found, item.value) for item in items], [(True, b"1"), (False, b"")])
    self.assertEqual(items[0].version, batch.versions[0])


def sha(data: bytes) -> bytes:
  return hashlib.sha256(data).digest()


def leaf_digest(item) -> tuple:
  """Returns (key_id, digest of the leaf) of an item of a scan."""
  key_id = sha(item.key)[:20]
  numbers = (item.version.hlc, item.version.actor, item.expires_at_ms)
  return key_id, sha(b"\x00" + key_id + b"".join(n.to_bytes(8, "big") for n in numbers)
                     + item.value_digest)


def root_of(leaves: list, depth: int = 0) -> bytes:
  """The definition of the root, word for word."""
  if not leaves:
    return bytes(32)
  if len(leaves) == 1:
    return leaves[0][1]
  halves = ([], [])
  for leaf in leaves:
    halves[leaf[0][depth // 8] >> (7 - depth % 8) & 1].append(leaf)
  return sha(b"\x01" + root_of(halves[0], depth + 1) + root_of(halves[1], depth + 1))


class RootTest(harness.TestCase):

  def scan(self, node: harness.Daemon, **request) -> list:
    """Returns the items of a whole scan, page by page."""
    items = []
    with connect(node.endpoint) as channel:
      kv = kv_pb2_grpc.KvServiceStub(channel)
      token = b""
      while True:
        for response in kv.Scan(kv_pb2.ScanRequest(page_token=token, **request), timeout=10):
          items.extend(response.items)
          token = response.next_page_token
        if not token:
          return items

  def test_recomputes_the_root_from_a_scan(self):
    nodes = self.cluster()
    lines = "".join(f"k{i}\t{'v' * (i % 50)}\n" for i in range(2000))
    slipctl("import", endpoint=nodes[0].endpoint, stdin=lines.encode())
    slipctl("import", "--delete", endpoint=nodes[1].endpoint, stdin=b"k1\nk2\n")
    root = self.assert_converged(nodes)
    for node in nodes:
      items = self.scan(node, page_size=300)
      self.assertEqual(len(items), 1998)
      key_ids = [sha(item.key)[:20] for item in items]
      self.assertEqual(key_ids, sorted(key_ids))
      for item in items:
        self.assertEqual(item.value_digest, sha(item.value)[:20])
      self.assertEqual(root_of([leaf_digest(item) for item in items]).hex(), root)
    # The digests alone are enough.
    without_values = self.scan(nodes[2], keys_only=True)
    self.assertFalse(any(item.value for item in without_values))
    self.assertEqual(root_of([leaf_digest(item) for item in without_values]).hex(), root)

  def test_recomputes_the_root_after_each_of_the_first_writes(self):
    node = self.daemon().start()
    for i in range(20):
      slipctl("put", f"k{i}", "v", endpoint=node.endpoint)
      items = self.scan(node)
      self.assertEqual(root_of([leaf_digest(item) for item in items]).hex(), node.root())


class NodeClientTest(harness.TestCase):

  def setUp(self):
    super().setUp()
    self.folder = harness.repository_path("tests", "integration", "node_client")
    self.assertTrue(os.path.isdir(os.path.join(self.folder, "node_modules", "@grpc", "grpc-js")),
                    "run tools/setup.sh: the client's packages are not installed")
    self.program = shutil.which("node")
    self.assertIsNotNone(self.program, "run tools/setup.sh: Node.js is not installed")

  def client(self, *arguments: str) -> harness.Result:
    return harness.run([self.program, os.path.join(self.folder, "client.js"),
                        harness.repository_path("proto"), *arguments])

  def test_puts_on_one_node_and_gets_from_another(self):
    nodes = self.cluster(2)
    put = self.client(nodes[0].endpoint, "put", "from node", "grüße")
    self.assertEqual((put.code, put.error), (0, ""))
    self.assert_converged(nodes)
    got = self.client(nodes[1].endpoint, "get", "from node")
    self.assertEqual((got.code, got.text), (0, "grüße\n"), got.error)
    self.assertEqual(slipctl("get", "from node", endpoint=nodes[1].endpoint).text, "grüße\n")

  def test_learns_the_reason_of_an_error(self):
    node = self.daemon().start()
    got = self.client(node.endpoint, "get", "absent")
    self.assertEqual((got.code, got.text, got.error), (1, "", "NOT_FOUND KEY_NOT_FOUND\n"))


if __name__ == "__main__":
  harness.main()
