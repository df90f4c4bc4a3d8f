"""Runs the real programs for the tests of this folder: daemons, clusters of them, slipctl.

Everything that a test starts is killed by its process id when the test ends. Nothing sleeps: each
wait is for a condition and has a deadline. To run a test without Bazel, name the folder with the
binaries: SLIPSTREAM_BINARIES=bazel-bin tests/integration/slipctl_test.py
"""

import importlib
import json
import os
import random
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from typing import Callable, List, NamedTuple, Optional

# Generous: the machine may be busy with other tests.
START_SECONDS_MAX = 20
STOP_SECONDS_MAX = 20
CONVERGE_SECONDS_MAX = 30
PORT_ATTEMPTS_MAX = 10

READY = re.compile(r"^slipstreamd listening on (\S+:\d+)")

_REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
_BINARIES = os.path.abspath(os.environ.get("SLIPSTREAM_BINARIES", "."))
SLIPSTREAMD = os.path.join(_BINARIES, "node", "slipstreamd")
SLIPCTL = os.path.join(_BINARIES, "cli", "slipctl")


def repository_path(*parts: str) -> str:
  """Returns the path of a file of the source tree, for what Bazel does not know: node_modules."""
  return os.path.join(_REPOSITORY, *parts)


def environment(**changes: str) -> dict:
  """Returns a clean environment: nothing of the caller's may steer the programs."""
  return {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "LC_ALL": "C.UTF-8", **changes}


def wait_until(condition: Callable[[], object], seconds: float, what: str):
  """Polls `condition` until it returns something true, and returns that."""
  deadline = time.monotonic() + seconds
  while True:
    result = condition()
    if result:
      return result
    if time.monotonic() >= deadline:
      raise AssertionError(f"not within {seconds} s: {what}")
    select.select([], [], [], 0.01)  # Gives the processor away between two looks.


class Result(NamedTuple):
  """How a program ended."""
  code: int
  out: bytes
  error: str
  seconds: float

  @property
  def text(self) -> str:
    return self.out.decode()

  @property
  def json(self):
    return json.loads(self.out)


def run(command: List[str], stdin: bytes = b"", seconds: float = 60, **changes: str) -> Result:
  begin = time.monotonic()
  done = subprocess.run(command, input=stdin, capture_output=True, timeout=seconds, check=False,
                        env=environment(**changes))
  return Result(done.returncode, done.stdout, done.stderr.decode(), time.monotonic() - begin)


def slipctl(*arguments, endpoint: Optional[str] = None, stdin: bytes = b"", **changes) -> Result:
  """Runs slipctl; `endpoint` is passed on by the environment."""
  if endpoint is not None:
    changes["SLIPCTL_ENDPOINT"] = endpoint
  return run([SLIPCTL, *arguments], stdin=stdin, **changes)


def free_ports(count: int) -> List[int]:
  """Returns ports that nobody listens on.

  They lie below the range from which the kernel serves outgoing connections, so that a daemon finds
  its port again after a restart.
  """
  with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
    first_ephemeral = int(file.read().split()[0])
  ports = []
  while len(ports) < count:
    port = random.randrange(10_000, max(first_ephemeral, 20_000))
    with socket.socket() as probe:
      try:
        probe.bind(("127.0.0.1", port))
      except OSError:
        continue
    if port not in ports:
      ports.append(port)
  return ports


class StartError(Exception):
  """A daemon ended instead of listening."""

  def __init__(self, code: int, error: str):
    super().__init__(f"slipstreamd exited with {code}: {error}")
    self.code = code
    self.error = error


class Daemon:
  """One slipstreamd with its data directory. It may be stopped, killed and started again."""

  def __init__(self, directory: str, name: str = "n1", listen: str = "127.0.0.1:0",
               peers: str = "", flags: tuple = ()):
    self.name = name
    self.directory = directory
    self.log_path = directory + ".log"
    self.endpoint = listen
    self.ready_line = ""
    self._peers = peers
    self._flags = flags
    self._process = None

  def _command(self) -> List[str]:
    command = [SLIPSTREAMD, f"--listen={self.endpoint}", f"--data-dir={self.directory}",
               f"--node-name={self.name}", *self._flags]
    return command + ([f"--peers={self._peers}"] if self._peers else [])

  @property
  def pid(self) -> int:
    return self._process.pid

  def start(self) -> "Daemon":
    """Starts the daemon and waits for its ready line. Raises StartError if it ends instead."""
    log_begin = self._spawn()
    line = self._read_ready_line()
    match = READY.match(line)
    if not match:
      code = self._process.wait(STOP_SECONDS_MAX)
      self._process.stdout.close()
      with open(self.log_path, encoding="utf-8") as log:
        log.seek(log_begin)
        raise StartError(code, line + log.read())
    self.ready_line = line.rstrip("\n")
    self.endpoint = match.group(1)
    return self

  def kill_while_starting(self, seconds: float):
    """Starts the daemon and sends SIGKILL so much later, or as soon as it is ready."""
    self._spawn()
    select.select([self._process.stdout], [], [], seconds)
    self.kill()

  def _spawn(self) -> int:
    """Starts the process; returns where its part of the log begins."""
    with open(self.log_path, "ab") as log:
      # Asked before: the process will share the position.
      log_begin = log.tell()
      self._process = subprocess.Popen(self._command(), stdin=subprocess.DEVNULL, stderr=log,
                                       stdout=subprocess.PIPE, env=environment())
    return log_begin

  def _read_ready_line(self) -> str:
    """Returns the first line of standard output; what there is when it ends before that."""
    stream = self._process.stdout
    deadline = time.monotonic() + START_SECONDS_MAX
    line = b""
    while not line.endswith(b"\n"):
      left = deadline - time.monotonic()
      if left <= 0 or not select.select([stream], [], [], left)[0]:
        self.kill()
        raise AssertionError(f"slipstreamd did not get ready; log: {self.log()}")
      part = os.read(stream.fileno(), 1)
      if not part:
        break
      line += part
    return line.decode()

  def stop(self) -> int:
    """Sends SIGTERM and returns the exit code."""
    return self._end(signal.SIGTERM)

  def kill(self) -> int:
    """Sends SIGKILL."""
    return self._end(signal.SIGKILL)

  def signal(self, number: int):
    self._process.send_signal(number)

  def _end(self, number: int) -> int:
    if self._process.poll() is None:
      self._process.send_signal(number)
    code = self._process.wait(STOP_SECONDS_MAX)
    self._process.stdout.close()
    return code

  def discard(self):
    """Ends the process if it runs."""
    if self._process is not None and self._process.poll() is None:
      self.kill()

  def log(self) -> str:
    with open(self.log_path, encoding="utf-8") as log:
      return log.read()

  def status(self) -> dict:
    result = slipctl("status", "-o", "json", endpoint=self.endpoint)
    if result.code != 0:
      raise AssertionError(f"slipctl status: {result}")
    return result.json

  def root(self) -> str:
    """Returns this node's own root."""
    nodes = slipctl("root", "-o", "json", endpoint=self.endpoint).json["nodes"]
    return nodes[0]["root"]


class TestCase(unittest.TestCase):
  """A test that owns a temporary directory and the daemons that it starts."""

  def setUp(self):
    self.directory = tempfile.mkdtemp(prefix="slipstream-", dir=os.environ.get("TEST_TMPDIR"))
    self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
    self._attempt_count = 0

  def path(self, name: str) -> str:
    return os.path.join(self.directory, name)

  def daemon(self, name: str = "n1", **options) -> Daemon:
    """Returns a daemon that is not started yet, with a directory of its own."""
    daemon = Daemon(self.path(name), name=name, **options)
    self.addCleanup(daemon.discard)
    return daemon

  def cluster(self, count: int = 3, flags: tuple = ("--gossip-interval=100ms",)) -> List[Daemon]:
    """Starts daemons that are each other's peers; all get the same --peers line."""
    for _ in range(PORT_ATTEMPTS_MAX):
      self._attempt_count += 1
      ports = free_ports(count)
      peers = ",".join(f"127.0.0.1:{port}" for port in ports)
      nodes = [Daemon(self.path(f"cluster{self._attempt_count}-n{i}"), name=f"n{i}",
                      listen=f"127.0.0.1:{port}", peers=peers, flags=flags)
               for i, port in enumerate(ports, 1)]
      for node in nodes:
        self.addCleanup(node.discard)
      try:
        for node in nodes:
          node.start()
        return nodes
      except StartError as error:
        # Somebody took a port between the look and the start.
        if "in use" not in error.error:
          raise
        for node in nodes:
          node.discard()
    raise AssertionError("no free ports")

  def assert_converged(self, nodes: List[Daemon]) -> str:
    """Waits until all nodes have one root, and returns it."""
    result = slipctl("wait", "--converged", "--timeout", f"{CONVERGE_SECONDS_MAX}s", "-o", "json",
                     endpoint=nodes[0].endpoint)
    self.assertEqual(result.code, 0, result)
    roots = {node.root() for node in nodes}
    self.assertEqual(len(roots), 1, roots)
    return roots.pop()


def kv_stubs():
  """Generates the Python client as the README says, and returns (kv_pb2, kv_pb2_grpc)."""
  target = tempfile.mkdtemp(prefix="slipstream-stubs-", dir=os.environ.get("TEST_TMPDIR"))
  subprocess.run(["/usr/bin/python3", "-m", "grpc_tools.protoc", "-Iproto",
                  f"--python_out={target}", f"--grpc_python_out={target}",
                  "slipstream/v1/kv.proto"], check=True, env=environment())
  sys.path.insert(0, target)
  try:
    return (importlib.import_module("slipstream.v1.kv_pb2"),
            importlib.import_module("slipstream.v1.kv_pb2_grpc"))
  finally:
    sys.path.remove(target)
    shutil.rmtree(target)


def main():
  unittest.main(verbosity=2)
