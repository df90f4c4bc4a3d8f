#!/usr/bin/env python3

import json
import os
import tempfile
import unittest

import test_results

ONE_OF_THREE_FAILED = """<testsuites><testsuite>
  <testcase name="A"/>
  <testcase name="B"><failure message="1 != 2"/></testcase>
  <testcase name="C"/>
  <testcase name="DISABLED_D" status="notrun"/>
</testsuite></testsuites>"""
TWO_PASSED = "<testsuites><testsuite><testcase/><testcase/></testsuite></testsuites>"


def result(label, status, xml=None, attempt=1):
  """Returns the event of one attempt, whose test.xml holds `xml`."""
  outputs = []
  if xml is not None:
    descriptor, path = tempfile.mkstemp(suffix=".xml", dir=os.environ.get("TEST_TMPDIR"))
    with os.fdopen(descriptor, "w") as file:
      file.write(xml)
    outputs.append({"name": "test.xml", "uri": "file://" + path})
  return {"id": {"testResult": {"label": label, "run": 1, "shard": 1, "attempt": attempt}},
          "testResult": {"status": status, "testActionOutput": outputs}}


def completed(label, **event):
  return {"id": {"targetCompleted": {"label": label}}, **event}


# (what it shows, events, passed, failed)
CASES = [
    ("each case counts", [result("//a", "FAILED", ONE_OF_THREE_FAILED)], 2, 1),
    ("tests add up", [result("//a", "PASSED", TWO_PASSED), result("//b", "PASSED", TWO_PASSED)],
     4, 0),
    ("without a file a test is one", [result("//a", "PASSED"), result("//b", "TIMEOUT")], 1, 1),
    ("half a file is no file", [result("//a", "FAILED", "<testsuites><test")], 0, 1),
    ("the exit status beats the cases", [result("//a", "FAILED", TWO_PASSED)], 2, 1),
    ("the last attempt counts",
     [result("//a", "FAILED"), result("//a", "PASSED", TWO_PASSED, attempt=2)], 2, 0),
    ("a target that is not built is a failure", [completed("//a", completed={})], 0, 1),
    ("so is one that was given up", [completed("//a", aborted={"reason": "ANALYSIS_FAILURE"})],
     0, 1),
    ("one for another platform is not", [completed("//a", aborted={"reason": "SKIPPED"})], 0, 0),
    ("one that is built is no test", [completed("//a", completed={"success": True})], 0, 0),
]


class TestResultsTest(unittest.TestCase):

  def test_counts(self):
    for name, events, passed, failed in CASES:
      with self.subTest(name):
        self.assertEqual(test_results.count_events(map(json.dumps, events)), (passed, failed))


if __name__ == "__main__":
  unittest.main()
