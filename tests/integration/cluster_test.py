#!/usr/bin/python3
"""Three daemons: they converge, whatever one of them missed."""

import hashlib

import harness
from harness import slipctl, wait_until


def import_lines(node: harness.Daemon, lines: dict):
  text = "".join(f"{key}\t{value}\n" for key, value in lines.items())
  result = slipctl("import", "--timeout", "20s", endpoint=node.endpoint, stdin=text.encode())
  assert result.code == 0, result


def listing(node: harness.Daemon) -> list:
  """Returns all that a client can see of a node's keys, versions included."""
  return slipctl("scan", "-o", "json", endpoint=node.endpoint).text.splitlines()


def moved_by_repair(nodes: list) -> int:
  """Returns how many records the repair sessions of some nodes have moved."""
  repairs = [node.status()["repair"] for node in nodes]
  return sum(one["received_record_count"] + one["sent_record_count"] for one in repairs)


class ClusterTest(harness.TestCase):

  def test_agrees_on_writes_to_any_member(self):
    nodes = self.cluster()
    for i, node in enumerate(nodes):
      import_lines(node, {f"k{i}/{j}": f"v{j}" for j in range(300)})
    root = self.assert_converged(nodes)
    self.assertNotEqual(root, "0" * 64)
    result = slipctl("root", endpoint=nodes[1].endpoint)
    self.assertEqual(result.code, 0)
    self.assertEqual(result.text.splitlines()[-1],
                     f"all 3 members agree on root {root[:8]}… (900 keys)")
    self.assertEqual(len({tuple(listing(node)) for node in nodes}), 1)
    roots = slipctl("root", "-o", "json", endpoint=nodes[0].endpoint).json
    self.assertEqual(
        roots, {"converged": True, "nodes": [
            {"name": node.name, "endpoint": node.endpoint, "root": root, "keys": 900,
             "reachable": True} for node in nodes]})

  def test_pushes_new_writes(self):
    nodes = self.cluster()
    self.assert_converged(nodes)
    for node in nodes[1:]:
      def write_is_pushed():
        # A push is best effort: one to a member not yet met is left to repair.
        slipctl("put", "a", node.name, endpoint=nodes[0].endpoint)
        return node.status()["push"]["received_record_count"] > 0
      wait_until(write_is_pushed, 10, f"a write is pushed to {node.name}")
    wait_until(lambda: nodes[0].status()["push"]["pushed_record_count"] >= 2, 10,
               "two pushes are answered")
    self.assert_converged(nodes)
    for node in nodes:
      self.assertEqual(slipctl("get", "a", endpoint=node.endpoint).out, b"n3\n")

  def test_repairs_a_member_that_was_killed(self):
    nodes = self.cluster()
    import_lines(nodes[0], {f"k{i}": f"old{i}" for i in range(2000)})
    self.assert_converged(nodes)

    nodes[2].kill()
    result = slipctl("root", endpoint=nodes[0].endpoint)
    self.assertEqual(result.code, 5)
    self.assertIn("n3 does not answer", result.text)
    import_lines(nodes[0], {f"new{i}": "new" for i in range(50)})
    import_lines(nodes[1], {f"k{i}": f"newer{i}" for i in range(50)})
    keys = "".join(f"k{i}\n" for i in range(100, 150))
    slipctl("import", "--delete", endpoint=nodes[1].endpoint, stdin=keys.encode())

    before = moved_by_repair(nodes[:2])
    nodes[2].start()
    self.assert_converged(nodes)
    self.assertEqual(slipctl("get", "new7", endpoint=nodes[2].endpoint).out, b"new\n")
    self.assertEqual(slipctl("get", "k7", endpoint=nodes[2].endpoint).out, b"newer7\n")
    self.assertEqual(slipctl("get", "k107", endpoint=nodes[2].endpoint).code, 3)
    self.assertEqual(listing(nodes[2]), listing(nodes[0]))

    # Only what differed has moved: at most once in each direction between n3 and either other.
    moved = moved_by_repair(nodes) - before
    self.assertGreaterEqual(moved, 150)
    self.assertLessEqual(moved, 4 * 150)

  def test_fills_a_member_that_lost_everything(self):
    nodes = self.cluster()
    import_lines(nodes[0], {f"k{i}": f"v{i}" for i in range(3000)})
    root = self.assert_converged(nodes)
    nodes[1].kill()
    nodes[1].directory += "-replaced"
    nodes[1].start()
    self.assertEqual(self.assert_converged(nodes), root)
    self.assertEqual(nodes[1].status()["key_count"], 3000)

  def test_keeps_deleted_keys_deleted(self):
    nodes = self.cluster()
    import_lines(nodes[0], {f"k{i}": "v" for i in range(100)})
    self.assert_converged(nodes)
    # Each member in turn misses a delete, and comes back with the key.
    for i, node in enumerate(nodes):
      node.kill()
      other = nodes[(i + 1) % 3]
      self.assertEqual(slipctl("delete", f"k{i}", endpoint=other.endpoint).code, 0)
      node.start()
      self.assert_converged(nodes)
    # And once more over a restart of all.
    for node in nodes:
      self.assertEqual(node.stop(), 0)
    for node in nodes:
      node.start()
    self.assert_converged(nodes)
    for node in nodes:
      for i in range(3):
        self.assertEqual(slipctl("get", f"k{i}", endpoint=node.endpoint).code, 3)
      self.assertEqual(node.status()["key_count"], 97)

  def test_lets_the_later_write_win_everywhere(self):
    nodes = self.cluster()
    versions = [slipctl("put", "a", node.name, "-o", "json", endpoint=node.endpoint).json["version"]
                for node in nodes]
    self.assert_converged(nodes)
    winner = versions.index(max(versions))
    for node in nodes:
      result = slipctl("get", "a", "-o", "json", endpoint=node.endpoint).json
      self.assertEqual((result["value"], result["version"]),
                       (nodes[winner].name, versions[winner]))

  def test_has_the_same_root_after_a_clean_restart(self):
    nodes = self.cluster()
    import_lines(nodes[0], {f"k{i}": "v" for i in range(500)})
    root = self.assert_converged(nodes)
    for node in nodes:
      self.assertEqual(node.stop(), 0)
    for node in nodes:
      node.start()
      self.assertEqual(node.root(), root)

  def test_proves_on_one_member_what_was_written_on_another(self):
    nodes = self.cluster()
    import_lines(nodes[0], {f"k{i}": f"v{i}" for i in range(200)})
    root = self.assert_converged(nodes)
    proof = slipctl("prove", "k7", endpoint=nodes[2].endpoint).out
    result = slipctl("verify", "-", "--root", root, "-o", "json", stdin=proof)
    self.assertEqual((result.code, result.json["presence"]), (0, "present"))
    self.assertEqual(result.json["value_digest"], hashlib.sha256(b"v7").hexdigest()[:40])

  def test_lists_its_members(self):
    nodes = self.cluster()
    self.assert_converged(nodes)
    members = slipctl("members", "-o", "json", endpoint=nodes[1].endpoint).json["members"]
    self.assertEqual([member["name"] for member in members], ["n2", "n1", "n3"])
    self.assertEqual([member["self"] for member in members], [True, False, False])
    self.assertTrue(all(member["reachable"] for member in members))
    self.assertEqual(len({member["node_id"] for member in members}), 3)
    nodes[0].kill()
    def shows_n1_down():
      return "D   n1" in slipctl("members", endpoint=nodes[1].endpoint).text
    wait_until(shows_n1_down, 10, "n1 is shown as down")


if __name__ == "__main__":
  harness.main()
