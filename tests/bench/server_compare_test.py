#!/usr/bin/env python3
"""server_compare measures slipstreamd, the echo and Redis, on few keys, and writes what it says."""

import json
import os
import subprocess
import tempfile
import unittest

PROGRAM = os.path.join("tests", "bench", "server_compare")
KEYS = ["workload", "engine", "ops_per_s", "p50_us", "p99_us", "p999_us", "rss_bytes",
        "disk_bytes", "bytes_per_key", "seconds"]
ROWS = {
    ("unary_put", "echo"), ("unary_put", "redis"), ("unary_put", "slipstream"),
    ("unary_get", "echo"), ("unary_get", "redis"), ("unary_get", "slipstream"),
    ("unary_put_always_1", "slipstream"), ("unary_put_always_64", "slipstream"),
    ("pipeline_put_interval", "redis"), ("pipeline_put_interval", "slipstream"),
    ("pipeline_put_always", "redis"), ("pipeline_put_always", "slipstream"),
    ("pipeline_get", "redis"), ("pipeline_get", "slipstream"),
}


class ServerCompareTest(unittest.TestCase):

  def test_every_server_gives_its_rows(self):
    with tempfile.TemporaryDirectory() as directory:
      path = os.path.join(directory, "rows.json")
      result = subprocess.run(
          [PROGRAM, "--scale=0.002", "--rounds=1", f"--json={path}", f"--directory={directory}"],
          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=200, check=False)
      self.assertEqual(result.returncode, 0, result.stderr)
      with open(path, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
      self.assertEqual(os.listdir(directory), ["rows.json"])
    self.assertEqual({(row["workload"], row["engine"]) for row in rows}, ROWS)
    for row in rows:
      self.assertEqual(list(row), KEYS)
      self.assertGreater(row["ops_per_s"], 0)
      self.assertLessEqual(row["p50_us"], row["p999_us"])
    self.assertRegex(result.stdout, r"(?m)^pipeline_get: slipstream / redis pipelined by 32 +"
                                    r"[\d.]+ \([\d.]+ to [\d.]+\) +at least 1\.5: (met|MISSED)$")


if __name__ == "__main__":
  unittest.main()
