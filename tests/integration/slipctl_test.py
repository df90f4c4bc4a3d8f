#!/usr/bin/python3
"""Every command of slipctl against a real node: output, exact JSON, exit codes."""

import base64
import hashlib
import json
import os
import signal
import socket
import time

import grpc

import fake_node
import harness
from harness import slipctl

OK, ERROR, USAGE, NOT_FOUND, UNREACHABLE, NOT_CONVERGED, CONFLICT, CORRUPT = range(8)
TIMEOUT = 124
VERSION = r"[0-9a-f]{16}-[0-9a-f]{16}"
VALUE_BYTES_MAX = 1 << 20


class SlipctlTest(harness.TestCase):
  """Each test has a node of its own."""

  def setUp(self):
    super().setUp()
    self.node = self.daemon(flags=("--sync=none",)).start()

  def slipctl(self, *arguments, **options) -> harness.Result:
    return slipctl(*arguments, endpoint=self.node.endpoint, **options)

  def put(self, key: str, value: str) -> str:
    """Stores a value and returns its version."""
    result = self.slipctl("put", key, value, "-o", "json")
    self.assertEqual(result.code, OK, result)
    return result.json["version"]


class PutTest(SlipctlTest):

  def test_tells_the_version(self):
    result = self.slipctl("put", "a", "1")
    self.assertEqual((result.code, result.error), (OK, ""))
    self.assertRegex(result.text, f"^stored, version {VERSION}\n$")
    self.assertRegex(self.slipctl("put", "a", "2", "-o", "raw").text, f"^{VERSION}\n$")
    result = self.slipctl("put", "a", "3", "-o", "json")
    self.assertRegex(result.text, f'^{{"version":"{VERSION}"}}\n$')

  def test_later_versions_are_greater(self):
    self.assertLess(self.put("a", "1"), self.put("a", "2"))

  def test_stores_a_file_and_standard_input(self):
    path = self.path("value")
    value = bytes(range(256)) * 10
    with open(path, "wb") as file:
      file.write(value)
    self.assertEqual(self.slipctl("put", "file", "--value-file", path).code, OK)
    self.assertEqual(self.slipctl("get", "file", "-o", "raw").out, value)
    self.assertEqual(self.slipctl("put", "pipe", "--value-file", "-", stdin=value).code, OK)
    self.assertEqual(self.slipctl("get", "pipe", "-o", "raw").out, value)

  def test_stores_an_empty_value(self):
    self.assertEqual(self.slipctl("put", "a", "").code, OK)
    result = self.slipctl("get", "a", "-o", "raw")
    self.assertEqual((result.code, result.out), (OK, b""))

  def test_takes_a_value_once(self):
    for arguments in (["put", "a"], ["put", "a", "b", "--value-file", "-"]):
      result = self.slipctl(*arguments)
      self.assertEqual((result.code, result.text), (USAGE, ""))
      self.assertEqual(result.error, "slipctl put: give either VALUE or --value-file\n"
                       "see: slipctl put --help\n")

  def test_a_time_to_live_is_told_and_ends(self):
    before_ms = int(time.time() * 1000)
    self.assertEqual(self.slipctl("put", "a", "1", "--ttl", "10m").code, OK)
    expires_at_ms = self.slipctl("get", "a", "-o", "json").json["expires_at_ms"]
    self.assertGreaterEqual(expires_at_ms, before_ms + 600_000)
    self.assertLessEqual(expires_at_ms, int(time.time() * 1000) + 1 + 600_000)
    scanned = self.slipctl("scan", "-o", "json").json
    self.assertEqual(scanned["expires_at_ms"], expires_at_ms)
    # Put again without one, it stays.
    self.assertEqual(self.slipctl("put", "a", "2").code, OK)
    self.assertNotIn("expires_at_ms", self.slipctl("get", "a", "-o", "json").json)
    self.assertEqual(self.slipctl("put", "a", "3", "--ttl", "1ms").code, OK)
    harness.wait_until(lambda: self.slipctl("get", "a").code == NOT_FOUND, 10, "the key's end")
    self.assertEqual(self.slipctl("scan").text, "")

  def test_refuses_a_time_to_live_that_is_none(self):
    for ttl in ("0s", "-1s", "soon", "8761h"):
      result = self.slipctl("put", "a", "1", f"--ttl={ttl}")
      self.assertEqual((result.code, result.text), (USAGE, ""))
      self.assertIn(f'slipctl put: --ttl: "{ttl}" is ', result.error)
    self.assertEqual(self.slipctl("get", "a").code, NOT_FOUND)

  def test_names_a_file_that_cannot_be_read(self):
    result = self.slipctl("put", "a", "--value-file", "/nonexistent")
    self.assertEqual(result.code, ERROR)
    self.assertEqual(result.error,
                     'slipctl: cannot read "/nonexistent": No such file or directory\n')

  def test_names_the_limit_that_a_value_breaks(self):
    value = b"x" * VALUE_BYTES_MAX
    self.assertEqual(self.slipctl("put", "a", "--value-file", "-", stdin=value).code, OK)
    result = self.slipctl("put", "a", "--value-file", "-", stdin=value + b"x")
    self.assertEqual((result.code, result.text), (ERROR, ""))
    self.assertIn(str(VALUE_BYTES_MAX), result.error)
    self.assertIn(str(VALUE_BYTES_MAX + 1), result.error)
    self.assertIn("(VALUE_SIZE)", result.error)
    self.assertEqual(result.error.count("\n"), 1)

  def test_names_the_limit_of_the_greatest_value_of_all(self):
    result = self.slipctl("put", "a", "--value-file", "-", stdin=b"x" * ((8 << 20) + 1))
    self.assertEqual((result.code, result.error), (ERROR, 'slipctl: "-" is longer than 8 MiB\n'))

  def test_names_the_limit_that_a_key_breaks(self):
    self.assertEqual(self.slipctl("put", "k" * 4096, "v").code, OK)
    for key in ("", "k" * 4097):
      result = self.slipctl("put", key, "v")
      self.assertEqual(result.code, ERROR, result)
      self.assertIn("4096", result.error)
      self.assertIn("(KEY_SIZE)", result.error)


class ConditionTest(SlipctlTest):
  """put --if-absent, put --if-version, delete --if-version."""

  def test_puts_once_if_absent(self):
    result = self.slipctl("put", "lock", "me", "--if-absent")
    self.assertEqual((result.code, result.error), (OK, ""))
    self.assertRegex(result.text, f"^stored, version {VERSION}\n$")
    result = self.slipctl("put", "lock", "you", "--if-absent")
    self.assertEqual((result.code, result.text), (CONFLICT, ""))
    self.assertRegex(result.error, f'^slipctl: key "lock" is present, its version {VERSION}: '
                     r"not absent \(TRANSACTION_CONFLICT\)\n$")
    self.assertEqual(self.slipctl("get", "lock").out, b"me\n")
    self.assertEqual(self.slipctl("delete", "lock").code, OK)
    self.assertEqual(self.slipctl("put", "lock", "you", "--if-absent").code, OK)

  def test_puts_if_the_version_is_still_the_same(self):
    first = self.put("a", "1")
    result = self.slipctl("put", "a", "2", "--if-version", first, "-o", "json")
    self.assertEqual(result.code, OK, result)
    self.assertGreater(result.json["version"], first)
    lost = self.slipctl("put", "a", "3", "--if-version", first)
    self.assertEqual((lost.code, lost.text), (CONFLICT, ""))
    self.assertIn(result.json["version"], lost.error)
    self.assertEqual(self.slipctl("get", "a").out, b"2\n")

  def test_deletes_if_the_version_is_still_the_same(self):
    first = self.put("a", "1")
    second = self.put("a", "2")
    self.assertEqual(self.slipctl("delete", "a", "--if-version", first).code, CONFLICT)
    self.assertEqual(self.slipctl("get", "a").out, b"2\n")
    result = self.slipctl("delete", "a", "--if-version", second)
    self.assertEqual(result.code, OK, result)
    self.assertRegex(result.text, f"^deleted, version {VERSION}\n$")
    self.assertEqual(self.slipctl("get", "a").code, NOT_FOUND)

  def test_refuses_conditions_that_are_none(self):
    result = self.slipctl("put", "a", "1", "--if-version", "7")
    self.assertEqual(result.code, USAGE, result)
    self.assertIn('--if-version: "7" is no version', result.error)
    result = self.slipctl("put", "a", "1", "--if-absent", "--if-version", f"{1:016x}-{2:016x}")
    self.assertEqual(result.code, USAGE, result)
    self.assertIn("give either --if-absent or --if-version", result.error)


class GetTest(SlipctlTest):

  def test_prints_the_value(self):
    self.put("a", "hello")
    result = self.slipctl("get", "a")
    self.assertEqual((result.code, result.out, result.error), (OK, b"hello\n", ""))
    self.assertEqual(self.slipctl("get", "a", "-o", "raw").out, b"hello")

  def test_prints_text_as_text_in_json(self):
    version = self.put("clé", 'a "b"')
    self.assertEqual(
        self.slipctl("get", "clé", "-o", "json").text,
        '{"found":true,"key":"clé","value":"a \\"b\\"","encoding":"utf8","version":"%s"}\n'
        % version)

  def test_prints_other_bytes_in_base64_in_json(self):
    value = b"\xff\x00\xfe"
    put = self.slipctl("put", "a", "--value-file", "-", "-o", "json", stdin=value)
    self.assertEqual(
        self.slipctl("get", "a", "-o", "json").text,
        '{"found":true,"key":"a","value":"%s","encoding":"base64","version":"%s"}\n'
        % (base64.b64encode(value).decode(), put.json["version"]))

  def test_takes_any_bytes_as_a_key(self):
    key = b"\xff\xfe"
    version = self.slipctl("put", key, "1", "-o", "json").json["version"]
    self.assertEqual(
        self.slipctl("get", key, "-o", "json").text,
        '{"found":true,"key":"//4=","key_encoding":"base64","value":"1","encoding":"utf8",'
        '"version":"%s"}\n' % version)

  def test_takes_a_key_that_looks_like_a_flag_or_a_command(self):
    self.assertEqual(self.slipctl("put", "--", "--help", "1").code, OK)
    self.assertEqual(self.slipctl("get", "--", "--help").out, b"1\n")
    self.assertEqual(self.slipctl("put", "get", "2").code, OK)
    self.assertEqual(self.slipctl("get", "get").out, b"2\n")

  def test_says_that_a_key_is_not_there(self):
    result = self.slipctl("get", "a")
    self.assertEqual((result.code, result.out, result.error),
                     (NOT_FOUND, b"", 'slipctl: key "a" not found\n'))
    result = self.slipctl("get", "a", "-o", "raw")
    self.assertEqual((result.code, result.out), (NOT_FOUND, b""))
    result = self.slipctl("get", "a", "-o", "json")
    self.assertEqual((result.code, result.text, result.error),
                     (NOT_FOUND, '{"found":false,"key":"a"}\n', ""))


class DeleteTest(SlipctlTest):

  def test_deletes_and_tells_the_version(self):
    put_version = self.put("a", "1")
    result = self.slipctl("delete", "a", "-o", "json")
    self.assertEqual(result.code, OK)
    self.assertRegex(result.text, f'^{{"version":"{VERSION}"}}\n$')
    self.assertGreater(result.json["version"], put_version)
    self.assertEqual(self.slipctl("get", "a").code, NOT_FOUND)

  def test_deletes_what_is_not_there(self):
    result = self.slipctl("delete", "a")
    self.assertEqual((result.code, result.error), (OK, ""))
    self.assertRegex(result.text, f"^deleted, version {VERSION}\n$")


class ScanTest(SlipctlTest):

  def setUp(self):
    super().setUp()
    self.versions = {key: self.put(key, value)
                     for key, value in (("u/1", "one"), ("u/2", "two\ttwo"), ("v/1", "three"))}

  def test_lists_in_key_id_order(self):
    expected = sorted(self.versions, key=lambda key: hashlib.sha256(key.encode()).digest())
    self.assertEqual(self.slipctl("scan", "--keys-only").text.splitlines(), expected)

  def test_filters_by_prefix(self):
    lines = self.slipctl("scan", "--prefix", "u/").text.splitlines()
    self.assertEqual(sorted(lines), ["u/1\tone", "u/2\ttwo\\ttwo"])
    result = self.slipctl("scan", "--prefix", "none")
    self.assertEqual((result.code, result.out, result.error), (OK, b"", ""))

  def test_prints_raw_bytes(self):
    lines = self.slipctl("scan", "--prefix", "u/", "-o", "raw").text.splitlines()
    self.assertEqual(sorted(lines), ["u/1\tone", "u/2\ttwo\ttwo"])

  def test_prints_an_object_a_line(self):
    self.assertEqual(
        self.slipctl("scan", "--prefix", "v", "-o", "json").text,
        '{"key":"v/1","value":"three","encoding":"utf8","version":"%s"}\n' % self.versions["v/1"])
    self.assertEqual(self.slipctl("scan", "--prefix", "v", "--keys-only", "-o", "json").text,
                     '{"key":"v/1","version":"%s"}\n' % self.versions["v/1"])

  def test_stops_at_the_limit(self):
    self.assertEqual(len(self.slipctl("scan", "--limit", "2").text.splitlines()), 2)
    for limit in ("0", "-1", "x", "4294967296"):
      result = self.slipctl("scan", "--limit", limit)
      self.assertEqual(result.code, USAGE, result)
      self.assertIn("is not a count from 1", result.error)

  def test_lists_more_than_a_message_holds(self):
    lines = "".join(f"many/{i}\t{'x' * 1000}\n" for i in range(5000))
    self.assertEqual(self.slipctl("import", stdin=lines.encode()).code, OK)
    result = self.slipctl("scan", "--prefix", "many/", "-o", "raw")
    self.assertEqual(sorted(result.text.splitlines(True)), sorted(lines.splitlines(True)))


class ImportTest(SlipctlTest):

  def test_stores_lines_and_counts_them(self):
    lines = "".join(f"k{i}\tv{i}\n" for i in range(3000))
    result = self.slipctl("import", "-", stdin=lines.encode())
    self.assertEqual((result.code, result.error), (OK, ""))
    self.assertRegex(result.text, r"^stored 3,000 keys \(.* KiB\) in .*s\n$")
    self.assertEqual(self.slipctl("get", "k2999", "-o", "raw").out, b"v2999")
    self.assertEqual(self.node.status()["key_count"], 3000)

  def test_reads_a_file_and_counts_in_json(self):
    path = self.path("lines")
    with open(path, "wb") as file:
      file.write(b"a\t1\nb\t2")
    result = self.slipctl("import", path, "-o", "json")
    self.assertEqual(result.code, OK)
    self.assertRegex(result.text, r'^{"put":2,"deleted":0,"bytes":4,"elapsed_ms":\d+}\n$')
    self.assertEqual(self.slipctl("get", "b").out, b"2\n")

  def test_deletes_keys(self):
    self.slipctl("import", stdin=b"a\t1\nb\t2\nc\t3\n")
    result = self.slipctl("import", "--delete", "-o", "json", stdin=b"a\nb\nnone\n")
    self.assertEqual(result.json["deleted"], 3)
    self.assertEqual(self.slipctl("scan", "--keys-only").text, "c\n")

  def test_reads_what_scan_wrote(self):
    self.slipctl("import", stdin=b"a\t1\nb\t2\t2\n")
    other = self.daemon("n2").start()
    listing = self.slipctl("scan", "-o", "raw").out
    slipctl("import", endpoint=other.endpoint, stdin=listing)
    self.assertEqual(slipctl("scan", "-o", "raw", endpoint=other.endpoint).out, listing)

  def test_takes_no_input_for_no_keys(self):
    self.assertRegex(self.slipctl("import", stdin=b"").text, "^stored 0 keys ")

  def test_names_the_line_without_a_tab(self):
    result = self.slipctl("import", stdin=b"a\t1\nb\t2\nwrong\nc\t3\n")
    self.assertEqual((result.code, result.text), (ERROR, ""))
    self.assertEqual(result.error, "slipctl: line 3 has no TAB between key and value: \"wrong\"; "
                     "2 lines before it done\n")
    self.assertEqual(self.node.status()["key_count"], 2)

  def test_names_the_line_that_the_node_refuses(self):
    lines = b"".join(b"k%d\tv\n" % i for i in range(1000)) + b"\tno key\n"
    result = self.slipctl("import", stdin=lines)
    self.assertEqual(result.code, ERROR)
    self.assertRegex(result.error, r"^slipctl: line 1,001: .*; 1,000 lines before it done "
                     r"\(KEY_SIZE\)\n$")

  def test_takes_the_greatest_value(self):
    lines = b"a\t" + b"x" * VALUE_BYTES_MAX + b"\nb\ty\n"
    self.assertEqual(self.slipctl("import", stdin=lines).code, OK)
    self.assertEqual(self.node.status()["key_count"], 2)


class ClusterCommandsTest(SlipctlTest):

  def test_shows_the_root(self):
    self.put("a", "1")
    root = self.node.root()
    result = self.slipctl("root")
    self.assertEqual((result.code, result.error), (OK, ""))
    self.assertEqual(result.text.splitlines()[-1],
                     f"the only member has root {root[:8]}… (1 key)")
    self.assertEqual(
        self.slipctl("root", "-o", "json").text,
        '{"converged":true,"nodes":[{"name":"n1","endpoint":"%s","root":"%s","keys":1,'
        '"reachable":true}]}\n' % (self.node.endpoint, root))
    self.assertEqual(self.slipctl("root", "-o", "raw").text, root + "\n")

  def test_shows_the_root_of_nothing_as_zeros(self):
    self.assertEqual(self.node.root(), "0" * 64)

  def test_shows_the_status(self):
    self.put("a", "1")
    self.slipctl("delete", "b")
    status = self.node.status()
    self.assertEqual(status["node_name"], "n1")
    self.assertEqual(status["endpoint"], self.node.endpoint)
    self.assertEqual(status["key_count"], 1)
    self.assertEqual(status["tombstone_count"], 1)
    self.assertEqual(status["damaged_key_count"], 0)
    self.assertEqual(status["sync_policy"], "none")
    self.assertEqual(status["data_directory"], self.node.directory)
    table = self.slipctl("status").text
    self.assertRegex(table, r"(?m)^keys      1, and 1 deleted$")
    self.assertRegex(table, r"(?m)^node      n1$")

  def test_lists_the_members(self):
    result = self.slipctl("members", "-o", "json")
    self.assertEqual(result.code, OK)
    [member] = result.json["members"]
    self.assertEqual((member["name"], member["self"], member["reachable"]), ("n1", True, True))
    table = self.slipctl("members").text
    self.assertRegex(table, r"(?m)^U\*  n1 ")
    self.assertIn("1 of 1 member up", table)

  def test_has_no_raw_form_of_tables(self):
    for command in (["status"], ["members"], ["wait", "--converged"]):
      result = self.slipctl(*command, "-o", "raw")
      self.assertEqual(result.code, USAGE)
      self.assertIn("has no raw output", result.error)

  def test_waits_for_convergence(self):
    result = self.slipctl("wait", "--converged")
    self.assertEqual((result.code, result.error), (OK, ""))
    self.assertIn("the only member has root", result.text)

  def test_asks_what_to_wait_for(self):
    result = self.slipctl("wait")
    self.assertEqual(result.code, USAGE)
    self.assertIn("say what to wait for: --converged", result.error)


class NotConvergedTest(harness.TestCase):

  def setUp(self):
    super().setUp()
    [self.dead_port] = harness.free_ports(1)
    self.node = self.daemon(peers=f"127.0.0.1:{self.dead_port}",
                            flags=("--gossip-interval=50ms",)).start()

  def test_root_says_who_is_missing(self):
    result = slipctl("root", endpoint=self.node.endpoint)
    self.assertEqual((result.code, result.error), (NOT_CONVERGED, ""))
    verdict = result.text.splitlines()[-1]
    self.assertTrue(verdict.startswith("not converged: "), verdict)
    self.assertIn(f"127.0.0.1:{self.dead_port} does not answer", verdict)
    result = slipctl("root", "-o", "json", endpoint=self.node.endpoint)
    self.assertEqual(result.code, NOT_CONVERGED)
    self.assertIs(result.json["converged"], False)
    missing = result.json["nodes"][1]
    self.assertEqual((missing["reachable"], missing["root"]), (False, ""))
    result = slipctl("root", "-o", "raw", endpoint=self.node.endpoint)
    self.assertEqual((result.code, result.out), (NOT_CONVERGED, b""))
    self.assertIn("not converged", result.error)

  def test_wait_times_out_and_says_who_differs(self):
    result = slipctl("wait", "--converged", "--timeout", "500ms", endpoint=self.node.endpoint)
    self.assertEqual((result.code, result.text), (TIMEOUT, ""))
    self.assertIn("timed out after 500 ms: not converged: ", result.error)
    self.assertIn(f"127.0.0.1:{self.dead_port} does not answer", result.error)
    self.assertLess(result.seconds, 5)

  def test_members_shows_who_is_down(self):
    result = slipctl("members", endpoint=self.node.endpoint)
    self.assertEqual(result.code, OK)
    self.assertRegex(result.text, r"(?m)^D   -     127.0.0.1:%d " % self.dead_port)
    self.assertIn("1 of 2 members up", result.text)


class ProofTest(SlipctlTest):

  def prove(self, key: str) -> str:
    path = self.path("proof.json")
    result = self.slipctl("prove", key)
    self.assertEqual(result.code, OK, result)
    with open(path, "wb") as file:
      file.write(result.out)
    return path

  def verify(self, path: str, root: str, *flags) -> harness.Result:
    # No server: the only endpoint is one where nobody listens.
    return slipctl("verify", path, "--root", root, *flags, endpoint="127.0.0.1:1")

  def setUp(self):
    super().setUp()
    self.version = self.put("a", "1")
    for i in range(20):
      self.put(f"k{i}", "v")
    self.root = self.node.root()

  def test_proves_presence(self):
    path = self.prove("a")
    result = self.verify(path, self.root)
    self.assertEqual((result.code, result.error), (OK, ""))
    self.assertIn('proven: key "a" is present\n', result.text)
    self.assertIn(self.version, result.text)
    digest = hashlib.sha256(b"1").hexdigest()[:40]
    self.assertEqual(
        self.verify(path, self.root.upper(), "-o", "json").text,
        '{"proven":true,"presence":"present","key":"a","root":"%s","version":"%s",'
        '"value_digest":"%s","expires_at_ms":0}\n' % (self.root, self.version, digest))

  def test_proves_absence(self):
    path = self.prove("nobody")
    result = self.verify(path, self.root)
    self.assertEqual((result.code, result.text.splitlines()[0]),
                     (OK, 'proven: key "nobody" is absent'))
    self.assertEqual(
        self.verify(path, self.root, "-o", "json").text,
        '{"proven":true,"presence":"absent","key":"nobody","root":"%s"}\n' % self.root)

  def test_reads_standard_input(self):
    proof = self.slipctl("prove", "a").out
    self.assertEqual(slipctl("verify", "-", "--root", self.root, stdin=proof).code, OK)

  def test_proves_nothing_against_another_root(self):
    path = self.prove("a")
    self.put("b", "changes the root")
    result = self.verify(path, self.node.root())
    self.assertEqual((result.code, result.text), (CORRUPT, ""))
    self.assertRegex(result.error, "^slipctl: not proven: ")
    self.assertIn(f"hint: the file was made for root {self.root}\n", result.error)

  def test_proves_nothing_once_changed(self):
    path = self.prove("a")
    with open(path, encoding="utf-8") as file:
      proof = json.load(file)
    changes = {
        "key": base64.b64encode(b"k1").decode(),
        "presence": "absent",
        "siblings": proof["siblings"][:-1],
        "end": dict(proof["end"], value_digest="00" * 20),
        "format": "slipstream-proof-2",
    }
    for field, value in changes.items():
      with open(path, "w", encoding="utf-8") as file:
        json.dump(dict(proof, **{field: value}), file)
      result = self.verify(path, self.root)
      self.assertEqual((result.code, result.text), (CORRUPT, ""), field)
      self.assertEqual(result.error.count("slipctl:"), 1)

  def test_refuses_what_is_no_proof(self):
    path = self.path("proof.json")
    for text in ("", "{}", "no json", "[]"):
      with open(path, "w", encoding="utf-8") as file:
        file.write(text)
      result = self.verify(path, self.root)
      self.assertEqual(result.code, CORRUPT, text)
      self.assertIn("not a proof file", result.error)

  def test_names_a_file_that_is_not_there(self):
    result = self.verify("/nonexistent", self.root)
    self.assertEqual(result.code, ERROR)
    self.assertIn("No such file or directory", result.error)

  def test_asks_for_a_root(self):
    result = slipctl("verify", "proof.json")
    self.assertEqual((result.code, result.error),
                     (USAGE, "slipctl verify: --root is required\nsee: slipctl verify --help\n"))
    self.assertEqual(self.verify("proof.json", "4f2a").code, USAGE)


class SnapshotTest(SlipctlTest):
  """snapshot save, verify, restore."""

  def setUp(self):
    super().setUp()
    self.backup = self.path("backup")
    for i in range(100):
      self.put(f"key{i}", f"value{i}")
    self.assertEqual(self.slipctl("delete", "key0").code, OK)

  def save(self) -> dict:
    result = self.slipctl("snapshot", "save", self.backup, "-o", "json")
    self.assertEqual((result.code, result.error), (OK, ""))
    return result.json

  def offline(self, *arguments) -> harness.Result:
    # There is nobody to ask.
    return slipctl("snapshot", *arguments, endpoint="127.0.0.1:1")

  def test_saves_one_named_by_its_root(self):
    root = self.slipctl("root", "-o", "raw").text.strip()
    result = self.slipctl("snapshot", "save", self.backup)
    path = os.path.join(self.backup, f"slip-{root[:16]}")
    self.assertEqual((result.code, result.error), (OK, ""))
    self.assertEqual(result.text, f"saved {path}, 99 keys, root {root}\n")
    self.assertEqual(os.listdir(self.backup), [f"slip-{root[:16]}"])
    result = self.slipctl("snapshot", "save", self.backup)
    self.assertEqual(result.text, f"already there: {path}, 99 keys, root {root}\n")
    self.assertEqual(self.save(), {"path": path, "root": root, "keys": 99})
    result = self.slipctl("snapshot", "save", self.backup, "-o", "raw")
    self.assertEqual(result.text, path + "\n")

  def test_refuses_the_data_directory_and_unreachable_nodes(self):
    inside = os.path.join(self.node.directory, "backup")
    result = self.slipctl("snapshot", "save", inside)
    self.assertEqual((result.code, result.text), (ERROR, ""))
    self.assertRegex(result.error, r"^slipctl: .* is in the data directory.* \(SNAPSHOT_PATH\)\n$")
    self.assertFalse(os.path.exists(inside))
    self.assertEqual(self.offline("save", self.backup).code, UNREACHABLE)

  def test_verifies_without_a_server_and_names_damage(self):
    saved = self.save()
    result = self.offline("verify", saved["path"])
    self.assertEqual((result.code, result.error), (OK, ""))
    self.assertEqual(result.text,
                     f"verified {saved['path']}, 99 keys, root {saved['root']}\n")
    self.assertEqual(self.offline("verify", saved["path"] + "/", "-o", "json").json, saved)
    segment = os.path.join(saved["path"], f"{1:016x}.log")
    with open(segment, "r+b") as file:
      offset = file.read(1 << 16).index(b"value42")
      file.seek(offset + 3)
      file.write(b"\xee")
    result = self.offline("verify", saved["path"])
    self.assertEqual((result.code, result.text), (CORRUPT, ""))
    self.assertRegex(result.error, r"^slipctl: .*segment 1 .*\(SNAPSHOT_DAMAGED\)\n$")
    self.assertEqual(self.offline("verify", self.path("nothing")).code, NOT_FOUND)

  def test_restores_a_new_node(self):
    saved = self.save()
    self.put("later", "1")
    target = self.path("restored")
    result = self.offline("restore", saved["path"], "--data-dir", target, "-o", "json")
    self.assertEqual((result.code, result.error), (OK, ""))
    self.assertEqual(result.json["path"], target)
    self.assertEqual(result.json["root"], saved["root"])
    node = self.daemon("restored").start()
    self.assertEqual(node.root(), saved["root"])
    for key, code in (("key1", OK), ("key0", NOT_FOUND), ("later", NOT_FOUND)):
      self.assertEqual(slipctl("get", key, endpoint=node.endpoint).code, code, key)
    status = slipctl("status", "-o", "json", endpoint=node.endpoint).json
    old = self.slipctl("status", "-o", "json").json
    self.assertEqual(status["node_id"], result.json["node_id"])
    self.assertNotEqual(status["node_id"], old["node_id"])
    self.assertNotEqual(status["actor"], old["actor"])
    result = self.offline("restore", saved["path"], "--data-dir", target)
    self.assertEqual((result.code, result.text), (ERROR, ""))
    self.assertIn("is not empty", result.error)

  def test_usage(self):
    for arguments in (["snapshot"], ["snapshot", "save"], ["snapshot", "copy", "x"],
                      ["snapshot", "restore", "x"],
                      ["snapshot", "verify", "x", "--data-dir", "y"]):
      result = self.slipctl(*arguments)
      self.assertEqual((result.code, result.text), (USAGE, ""), arguments)


class InspectTest(harness.TestCase):
  """The data directory of a node that was stopped."""

  def setUp(self):
    super().setUp()
    node = self.daemon().start()
    for key, value in ((b"plain", "1"), (b"\xff\t", "2"), (b"long", "words " * 100)):
      self.assertEqual(slipctl("put", key, value, endpoint=node.endpoint).code, OK)
    proof = slipctl("prove", "plain", endpoint=node.endpoint)
    with open(self.path("proof.json"), "wb") as file:
      file.write(proof.out)
    self.running = slipctl("inspect", os.path.join(node.directory, "identity"))
    self.assertEqual(node.stop(), 0)
    self.data = node.directory
    self.segment = os.path.join(self.data, f"{1:016x}.log")

  def inspect(self, *arguments) -> harness.Result:
    # There is nobody to ask.
    result = slipctl("inspect", *arguments, endpoint="127.0.0.1:1")
    self.assertEqual(result.error, "")
    return result

  def test_passes_a_whole_directory(self):
    result = self.inspect(self.data)
    self.assertEqual(result.code, OK, result)
    self.assertRegex(result.text, r"(?m)^identity +identity +128  passed$")
    self.assertRegex(result.text, r"\n\d+ files pass all checks, 0 not\n$")
    files = self.inspect(self.data, "-o", "json").json["files"]
    self.assertEqual([file["name"] for file in files], sorted(os.listdir(self.data)))
    for file in files:
      self.assertEqual(file.get("checks"), None if file["name"] == "lock" else "passed", file)
      if file["name"] != "lock":
        result = self.inspect(os.path.join(self.data, file["name"]), "-o", "json")
        self.assertEqual((result.code, result.json["passes"]), (OK, True), file)

  def test_needs_no_lock(self):
    self.assertEqual((self.running.code, self.running.error), (OK, ""))
    self.assertRegex(self.running.text, r"(?m)^clean +no$")

  def test_lists_records(self):
    result = self.inspect(self.segment, "--records", "-o", "json")
    self.assertEqual(result.code, OK, result)
    records = result.json["records"]
    self.assertEqual([record["lsn"] for record in records], [1, 2, 3])
    self.assertEqual([record["type"] for record in records], ["put"] * 3)
    self.assertEqual(records[0]["key"], "plain")
    self.assertEqual((records[1]["key"], records[1]["key_encoding"]), ("/wk=", "base64"))
    self.assertEqual(records[0]["value_digest"], hashlib.sha256(b"1").hexdigest()[:40])
    self.assertEqual(records[2]["raw_bytes"], 600)
    self.assertLess(records[2]["stored_bytes"], 600)
    self.assertRegex(records[0]["version"], f"^{VERSION}$")
    text = self.inspect(self.segment, "--records", "--limit", "2").text
    self.assertRegex(text, r"(?m)^  2 .*  \\xff\\t$")
    self.assertIn("\n... and 1 more; --limit says how many are shown\n", text)

  def test_shows_damage_and_goes_on(self):
    with open(self.segment, "r+b") as file:
      file.seek(4096 + 64 + 4)
      file.write(b"\xee")
    result = self.inspect(self.segment, "--records", "-o", "json")
    self.assertEqual((result.code, result.json["passes"]), (CORRUPT, False))
    self.assertEqual(result.json["damage"][0]["offset"], 4096)
    self.assertEqual([record["lsn"] for record in result.json["records"]], [2, 3])
    self.assertRegex(self.inspect(self.segment).text, r"\nfails 2 checks\n$")
    result = self.inspect(self.data)
    self.assertEqual(result.code, CORRUPT)
    self.assertIn("failed  offset 4096: frame payload crc", result.text)

  def test_reads_a_proof(self):
    result = self.inspect(self.path("proof.json"), "-o", "json")
    self.assertEqual((result.code, result.json["kind"]), (OK, "proof"))
    self.assertEqual(result.json["header"]["key"], "plain")

  def test_names_what_is_not_there_or_is_wrong(self):
    result = slipctl("inspect", "/nonexistent")
    self.assertEqual((result.code, result.text, result.error),
                     (NOT_FOUND, "", 'slipctl: no file "/nonexistent"\n'))
    for arguments in ([], [self.data, "--limit", "0"], [self.data, "--limit", "1000001"],
                      [self.data, "-o", "raw"]):
      result = slipctl("inspect", *arguments)
      self.assertEqual((result.code, result.text), (USAGE, ""), result)
    os.mkfifo(self.path("pipe"))
    result = slipctl("inspect", self.path("pipe"))
    self.assertEqual((result.code, result.text), (ERROR, ""))
    self.assertIn("not a regular file", result.error)


class UsageTest(harness.TestCase):

  def check(self, arguments, *parts):
    result = slipctl(*arguments)
    self.assertEqual((result.code, result.text), (USAGE, ""), result)
    for part in parts:
      self.assertIn(part, result.error)
      self.assertEqual(result.error.count(part), 1)

  def test_suggests_what_was_meant(self):
    self.check(["gte", "a"], 'unknown command "gte"; did you mean "get"?')
    self.check(["statsu"], 'did you mean "status"?')
    self.check(["inspcet", "a"], 'did you mean "inspect"?')
    self.check(["inspect", "a", "--recrods"], 'did you mean "--records"?')
    self.check(["put", "a", "--valuefile", "x"], 'did you mean "--value-file"?')
    self.check(["root", "--endpont", "a:1"], 'did you mean "--endpoint"?')

  def test_refuses_values_of_flags(self):
    self.check(["get", "a", "--timeout", "2"], "write 500ms, 2s or 1m30s")
    self.check(["get", "a", "-o", "xml"], "write table, json or raw")
    self.check(["get", "a", "--endpoint", "localhost"], "write HOST:PORT")
    self.check(["get"], "KEY is required")
    self.check(["get", "a", "b"], 'unexpected argument "b"')

  def test_helps_with_two_examples_each(self):
    overview = slipctl("--help")
    self.assertEqual((overview.code, overview.error), (OK, ""))
    for command in ("put", "get", "delete", "scan", "import", "root", "status", "members", "wait",
                    "prove", "verify", "inspect"):
      self.assertRegex(overview.text, rf"(?m)^  {command} ")
      result = slipctl(command, "--help")
      self.assertEqual((result.code, result.error), (OK, ""))
      examples = result.text.split("Examples:\n")[1]
      self.assertGreaterEqual(examples.count(f"slipctl {command}"), 2, command)

  def test_keeps_help_within_100_columns(self):
    for arguments in ([], ["put"], ["scan"], ["import"], ["root"], ["wait"], ["verify"],
                      ["inspect"]):
      for line in slipctl(*arguments, "--help").text.splitlines():
        self.assertLessEqual(len(line), 100, line)

  def test_shows_the_version(self):
    self.assertRegex(slipctl("--version").text, r"^slipctl \d+\.\d+\.\d+\n$")


class UnreachableTest(harness.TestCase):

  def test_says_at_once_that_the_connection_was_refused(self):
    [port] = harness.free_ports(1)
    result = slipctl("get", "a", endpoint=f"127.0.0.1:{port}")
    self.assertEqual((result.code, result.text), (UNREACHABLE, ""))
    self.assertEqual(
        result.error,
        f"slipctl: cannot reach 127.0.0.1:{port}: connection refused\n"
        "hint: is slipstreamd running there? Start one here with: slipstreamd\n")
    self.assertLess(result.seconds, 1)

  def test_does_so_in_every_command(self):
    [port] = harness.free_ports(1)
    for command in (["put", "a", "1"], ["delete", "a"], ["scan"], ["import"], ["root"], ["status"],
                    ["members"], ["prove", "a"], ["wait", "--converged"]):
      result = slipctl(*command, endpoint=f"127.0.0.1:{port}")
      self.assertEqual((result.code, result.text), (UNREACHABLE, ""), command)
      self.assertLess(result.seconds, 1)

  def test_says_that_a_name_is_not_known(self):
    result = slipctl("get", "a", endpoint="no-such-host.invalid:7400")
    self.assertEqual(result.code, UNREACHABLE)
    self.assertIn("cannot reach no-such-host.invalid:7400: ", result.error)

  def test_gives_up_on_a_host_that_does_not_answer(self):
    with socket.create_server(("127.0.0.1", 0)) as server:
      endpoint = f"127.0.0.1:{server.getsockname()[1]}"
      result = slipctl("get", "a", "--timeout", "300ms", endpoint=endpoint)
    self.assertEqual(result.code, UNREACHABLE)
    self.assertIn(f"cannot reach {endpoint}: no answer within 300 ms\n", result.error)
    self.assertLess(result.seconds, 2)

  def test_tries_the_next_endpoint_only_when_one_is_unreachable(self):
    node = self.daemon().start()
    [port] = harness.free_ports(1)
    both = f"127.0.0.1:{port},{node.endpoint}"
    self.assertEqual(slipctl("put", "a", "1", endpoint=both).code, OK)
    self.assertEqual(slipctl("get", "a", "--endpoint", both).out, b"1\n")
    # An answer is an answer, also when it is an error.
    other = self.daemon("n2").start()
    self.assertEqual(slipctl("get", "a", endpoint=f"{other.endpoint},{node.endpoint}").code,
                     NOT_FOUND)

  def test_names_every_cause(self):
    ports = harness.free_ports(2)
    both = ",".join(f"127.0.0.1:{port}" for port in ports)
    result = slipctl("get", "a", endpoint=both)
    self.assertEqual(result.code, UNREACHABLE)
    self.assertIn("cannot reach any of 2 endpoints: ", result.error)
    self.assertEqual(result.error.count("connection refused"), 2)


class FakeNodeTest(harness.TestCase):
  """What a healthy node never does."""

  def setUp(self):
    super().setUp()
    self.fake = fake_node.FakeNode({})
    self.addCleanup(self.fake.stop)

  def test_times_out_when_the_node_is_silent(self):
    self.fake.add(fake_node.KV + "Get", self.fake.silence)
    self.fake.add(fake_node.KV + "Put", self.fake.silence)
    result = slipctl("get", "a", "--timeout", "300ms", endpoint=self.fake.endpoint)
    self.assertEqual((result.code, result.text), (TIMEOUT, ""))
    self.assertEqual(result.error,
                     f"slipctl: no answer from {self.fake.endpoint} within 300 ms\n")
    result = slipctl("put", "a", "1", "--timeout", "300ms", endpoint=self.fake.endpoint)
    self.assertEqual(result.code, TIMEOUT)
    self.assertIn("it is not known whether the write was done", result.error)

  def test_times_out_when_a_stream_is_silent(self):
    for command in ("scan", "import"):
      node = self.daemon(command).start()
      node.signal(signal.SIGSTOP)
      result = slipctl(command, "--timeout", "300ms", endpoint=node.endpoint)
      # A stopped process does not even greet.
      self.assertEqual(result.code, UNREACHABLE, result)
      node.signal(signal.SIGCONT)
    self.fake.add(fake_node.KV + "Scan", self.fake.silence)
    self.fake.add(fake_node.KV + "Pipeline", self.fake.silence)
    for command in (["scan"], ["import"]):
      result = slipctl(*command, "--timeout", "300ms", endpoint=self.fake.endpoint,
                       stdin=b"a\t1\n")
      self.assertEqual((result.code, result.text), (TIMEOUT, ""), result)
      self.assertLess(result.seconds, 5)

  def test_tells_conflict_damage_and_other_errors_apart(self):
    cases = ((grpc.StatusCode.ABORTED, "TREE_BUSY", CONFLICT),
             (grpc.StatusCode.DATA_LOSS, "RECORD_DAMAGED", CORRUPT),
             (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_BUSY", ERROR),
             (grpc.StatusCode.UNAVAILABLE, "DRAINING", UNREACHABLE))
    for code, reason, exit_code in cases:
      self.fake.add(fake_node.KV + "Get", fake_node.refuse(code, "in words", reason))
      result = slipctl("get", "a", endpoint=self.fake.endpoint)
      self.assertEqual((result.code, result.text, result.error),
                       (exit_code, "", f"slipctl: in words ({reason})\n"))

  def test_does_not_believe_a_proof(self):
    self.fake.add(fake_node.ADMIN + "Prove", lambda request, context: b"")
    result = slipctl("prove", "a", endpoint=self.fake.endpoint)
    self.assertEqual((result.code, result.text), (CORRUPT, ""))
    self.assertIn("a root of 0 bytes, not 32", result.error)
    # A root of 32 times 0x41, no siblings, nothing at the end: only the empty tree has that.
    self.fake.add(fake_node.ADMIN + "Prove", lambda request, context: b"\x0a\x20" + b"A" * 32)
    result = slipctl("prove", "a", endpoint=self.fake.endpoint)
    self.assertEqual((result.code, result.text), (CORRUPT, ""))

  def test_does_not_take_half_an_answer_for_a_whole_one(self):
    self.fake.add(fake_node.KV + "Pipeline", lambda request, context: b"")
    result = slipctl("import", endpoint=self.fake.endpoint, stdin=b"a\t1\n")
    self.assertEqual((result.code, result.text, result.error),
                     (ERROR, "", f"slipctl: {self.fake.endpoint} answered 0 of 1 line\n"))
    # A page token, and then the end.
    self.fake.add(fake_node.KV + "Scan", lambda request, context: b"\x12\x01x")
    result = slipctl("scan", endpoint=self.fake.endpoint)
    self.assertEqual((result.code, result.text, result.error),
                     (ERROR, "", f"slipctl: {self.fake.endpoint} did not end the listing\n"))

  def test_says_that_the_other_side_is_no_node(self):
    result = slipctl("get", "a", endpoint=self.fake.endpoint)
    self.assertEqual(result.code, ERROR)
    self.assertIn(f"{self.fake.endpoint} does not know this call; is it a Slipstream node?",
                  result.error)


if __name__ == "__main__":
  harness.main()
