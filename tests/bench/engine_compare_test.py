#!/usr/bin/env python3
"""engine_compare runs every workload on every engine, on few keys, and writes what it says."""

import json
import os
import re
import subprocess
import tempfile
import unittest

PROGRAM = os.path.join("tests", "bench", "engine_compare")
KEYS = ["workload", "engine", "ops_per_s", "p50_us", "p99_us", "p999_us", "rss_bytes",
        "disk_bytes", "bytes_per_key", "seconds"]
RUN_SECONDS_MAX = 280

ALL = ["slipstream", "leveldb", "lmdb", "tkrzw"]
SYNCED = ["slipstream", "leveldb", "lmdb"]
OWN = ["slipstream"]
ENGINES = {
    "load_100": ALL, "load_1k": ALL, "load_compressible": ALL, "tree_off": OWN, "tree_on": OWN,
    "get_cached": ALL, "get_disk_hot": OWN + ["device"], "get_disk_cold": OWN + ["device"],
    "ycsb_a": ALL, "ycsb_b": ALL, "sync_1": SYNCED, "sync_16": SYNCED, "sync_64": SYNCED,
    "reopen_clean": ALL, "reopen_kill": ALL, "overwrite_3": ALL, "memory_limit": OWN,
    "compaction": OWN,
}
# What the engine may lack, or a file system without direct I/O.
MAY_BE_IMPOSSIBLE = {"get_disk_hot", "get_disk_cold", "memory_limit", "compaction"}
WITHOUT_RATE = {"reopen_clean", "reopen_kill"}


def run(*arguments: str) -> subprocess.CompletedProcess:
  return subprocess.run([PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                        text=True, timeout=RUN_SECONDS_MAX, check=False)


class EngineCompareTest(unittest.TestCase):

  def test_every_pair_gives_a_row_or_says_why_not(self):
    with tempfile.TemporaryDirectory() as directory:
      path = os.path.join(directory, "rows.json")
      result = run("--scale=0.0005", "--rounds=1", f"--json={path}", f"--directory={directory}",
                   "--disk-depth=4")
      with open(path, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
      left = os.listdir(directory)
    impossible = set(re.findall(
        r"^engine_compare: (\w+) slipstream: not possible with this engine: .+$", result.stderr,
        re.MULTILINE))
    self.assertLessEqual(impossible, MAY_BE_IMPOSSIBLE, result.stderr)
    self.assertEqual(result.returncode, 1 if impossible else 0, result.stderr)
    self.assertEqual(left, ["rows.json"])

    seen = {(row["workload"], row["engine"]): row for row in rows}
    wanted = {(workload, engine) for workload, engines in ENGINES.items() for engine in engines}
    if "compaction" not in impossible:
      wanted.add(("compaction_off", "slipstream"))
    wanted -= {(workload, "slipstream") for workload in impossible}
    self.assertEqual(set(seen), wanted, result.stderr)
    for (workload, engine), row in seen.items():
      with self.subTest(workload=workload, engine=engine):
        self.assertEqual(list(row), KEYS)
        self.check_row(row)
        self.assertRegex(result.stdout, rf"(?m)^{workload} +{engine} ")

  def check_row(self, row: dict):
    self.assertGreater(row["seconds"], 0)
    if row["engine"] != "device":
      self.assertGreater(row["rss_bytes"], 1 << 20)
      self.assertGreater(row["disk_bytes"], 4096)
    if row["workload"] in WITHOUT_RATE:
      self.assertIsNone(row["ops_per_s"])
      self.assertIsNone(row["p50_us"])
      return
    self.assertGreater(row["ops_per_s"], 0)
    self.assertGreater(row["p50_us"], 0)
    self.assertLessEqual(row["p50_us"], row["p99_us"])
    self.assertLessEqual(row["p99_us"], row["p999_us"])

  def test_bars_are_taken_within_each_round(self):
    with tempfile.TemporaryDirectory() as directory:
      result = run("--scale=0.0005", "--rounds=2", "--workloads=tree_off,tree_on",
                   f"--directory={directory}")
    self.assertEqual(result.returncode, 0, result.stderr)
    self.assertRegex(result.stdout, r"(?m)^tree_on / tree_off +[\d.]+ \([\d.]+ to [\d.]+\) +"
                                    r"at least 0\.85: (met|MISSED)$")

  def test_names_that_mean_nothing_are_refused(self):
    for argument in ("--workloads=load_10", "--engines=rocksdb"):
      result = run(argument)
      self.assertEqual(result.returncode, 2)
      self.assertIn(argument.split("=")[1], result.stderr)


if __name__ == "__main__":
  unittest.main()
