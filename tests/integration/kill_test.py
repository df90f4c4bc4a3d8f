#!/usr/bin/python3
"""kill -9 of a daemon at any moment under load loses no acknowledged write.

In each round writers put and delete keys, a daemon is killed in the middle, sometimes once more
while it starts, and then asked for every key whose write it ever acknowledged: each has that
version or a greater one. Half of the rounds have a single node, half a cluster of three, of which
any one or all may be killed.
"""

import os
import random
import threading

import grpc

import harness

kv_pb2, kv_pb2_grpc = harness.kv_stubs()

ROUNDS = int(os.environ.get("SLIPSTREAM_KILL_ROUNDS", "200"))
# Rounds in a row share their data directories; then new ones begin empty, so that logs stay short.
ROUNDS_PER_DIRECTORY = 20
WRITERS = 6
KEYS_PER_WRITER = 15
ACKNOWLEDGED_PER_ROUND_MAX = 150
ROUND_SECONDS_MAX = 30
# About as long as a start takes.
STARTING_SECONDS_MAX = 0.1
FLAGS = ("--sync=always", "--gossip-interval=100ms", "--segment-bytes=8388608")

# How a call ends when its node is killed.
CUT_OFF = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.INTERNAL,
           grpc.StatusCode.UNKNOWN)


def connect(endpoint: str):
  # With connections of its own, a round does not wait for those of the last one to be given up.
  return grpc.insecure_channel(endpoint, options=[("grpc.use_local_subchannel_pool", 1)])


def version_of(message) -> tuple:
  return message.version.hlc, message.version.actor


def brief(value) -> str:
  return repr(value if value is None else value[:20])


class KeyHistory:
  """What the clients know of one key, which one writer alone writes."""

  def __init__(self):
    self.version = None  # Of the last acknowledged write.
    self.value = None  # What it wrote; None: a delete.
    self.unanswered = []  # What later writes wanted, which may or may not have been done.

  def problem(self, item) -> str:
    """Returns what is wrong with what a node has of the key; empty if nothing is."""
    value = item.value if item.found else None
    if value not in (self.value, *self.unanswered):
      return f"has {brief(value)}, not {brief(self.value)} of version {self.version}"
    # Values are never written twice, so each has a version of its own.
    if item.found and self.version is not None:
      version = version_of(item)
      if version < self.version or (version == self.version) != (value == self.value):
        return (f"has {brief(value)} of version {version}, "
                f"not {brief(self.value)} of version {self.version}")
    return ""


class Writer:
  """Writes its own keys, always through the same node."""

  def __init__(self, index: int):
    self.histories = {b"w%d/%d" % (index, i): KeyHistory() for i in range(KEYS_PER_WRITER)}
    self.failure = None  # What ended the writer, if not the killing of its node.
    self._count = 0

  def run(self, node: harness.Daemon, acknowledge, stopping: threading.Event):
    """Writes until its node is gone or `stopping` is set; calls `acknowledge` after each answer."""
    try:
      with connect(node.endpoint) as channel:
        kv = kv_pb2_grpc.KvServiceStub(channel)
        while not stopping.is_set():
          self._write(kv)
          acknowledge()
    except grpc.RpcError as error:
      if error.code() not in CUT_OFF:
        self.failure = error

  def _write(self, kv):
    self._count += 1
    key = random.choice(list(self.histories))
    history = self.histories[key]
    if random.random() < 0.2:
      history.unanswered.append(None)
      answer = kv.Delete(kv_pb2.DeleteRequest(key=key), timeout=ROUND_SECONDS_MAX)
    else:
      # Some frames fill several pages, so that a torn one can be torn in its middle.
      history.unanswered.append(b"%d " % self._count + b"x" * random.randrange(3000))
      request = kv_pb2.PutRequest(key=key, value=history.unanswered[-1])
      answer = kv.Put(request, timeout=ROUND_SECONDS_MAX)
    history.version, history.value = version_of(answer), history.unanswered[-1]
    history.unanswered = []

  def check(self, kv):
    """Asserts that a node has all that was acknowledged."""
    keys = list(self.histories)
    items = kv.MultiGet(kv_pb2.MultiGetRequest(keys=keys), timeout=ROUND_SECONDS_MAX).items
    assert len(items) == len(keys), f"{len(items)} answers to {len(keys)} keys"
    for key, item in zip(keys, items):
      problem = self.histories[key].problem(item)
      assert not problem, f"{key.decode()}: {problem}"


class Load:
  """Writers side by side, each with one of the nodes."""

  def __init__(self, nodes: list):
    self.nodes = nodes
    self.writers = [Writer(i) for i in range(WRITERS)]
    self.acknowledged_count = 0
    self._changed = threading.Condition()

  def _acknowledge(self):
    with self._changed:
      self.acknowledged_count += 1
      self._changed.notify()

  def node_of(self, writer: int) -> harness.Daemon:
    return self.nodes[writer % len(self.nodes)]

  def kill_under_load(self, victims: list):
    """Kills some nodes while all write, after a random number of acknowledged writes."""
    goal = self.acknowledged_count + random.randrange(ACKNOWLEDGED_PER_ROUND_MAX)
    stopping = threading.Event()
    threads = [threading.Thread(target=writer.run,
                                args=(self.node_of(i), self._acknowledge, stopping))
               for i, writer in enumerate(self.writers)]
    for thread in threads:
      thread.start()
    with self._changed:
      reached = self._changed.wait_for(lambda: self.acknowledged_count >= goal, ROUND_SECONDS_MAX)
    for victim in victims:
      victim.kill()
    stopping.set()
    for thread in threads:
      thread.join()
    failures = [writer.failure for writer in self.writers if writer.failure]
    assert reached and not failures, f"the writers stood still: {failures}"

  def check(self, node: harness.Daemon):
    """Asserts that a node has all that it acknowledged itself."""
    with connect(node.endpoint) as channel:
      kv = kv_pb2_grpc.KvServiceStub(channel)
      for i, writer in enumerate(self.writers):
        if self.node_of(i) is node:
          writer.check(kv)

  def check_converged(self):
    """Asserts that every node has what any node acknowledged."""
    for node in self.nodes:
      with connect(node.endpoint) as channel:
        for writer in self.writers:
          writer.check(kv_pb2_grpc.KvServiceStub(channel))


class KillTest(harness.TestCase):

  def rounds(self, start_nodes) -> int:
    """Runs half of the rounds; returns how many writes were acknowledged."""
    acknowledged_count = 0
    for round_index in range(ROUNDS // 2):
      if round_index % ROUNDS_PER_DIRECTORY == 0:
        load = Load(start_nodes(round_index))
      victims = [random.choice(load.nodes)] if random.random() < 0.8 else load.nodes
      with self.subTest(round=round_index, killed=[victim.name for victim in victims]):
        load.kill_under_load(victims)
        for victim in victims:
          if random.random() < 0.2:
            victim.kill_while_starting(random.uniform(0, STARTING_SECONDS_MAX))
          victim.start()
          load.check(victim)
      if (round_index + 1) % ROUNDS_PER_DIRECTORY == 0 or round_index + 1 == ROUNDS // 2:
        self.assert_converged(load.nodes)
        load.check_converged()
        acknowledged_count += load.acknowledged_count
        for node in load.nodes:
          self.assertEqual(node.stop(), 0)
    return acknowledged_count

  def single_node(self, round_index: int) -> list:
    [port] = harness.free_ports(1)
    return [self.daemon(f"n1-{round_index}", listen=f"127.0.0.1:{port}", flags=FLAGS).start()]

  def test_single_node(self):
    count = self.rounds(self.single_node)
    print(f"{ROUNDS // 2} kills of a single node, {count} acknowledged writes, none lost")

  def test_cluster(self):
    count = self.rounds(lambda i: self.cluster(flags=FLAGS))
    print(f"{ROUNDS // 2} kills in a cluster of three, {count} acknowledged writes, none lost")


if __name__ == "__main__":
  harness.main()
