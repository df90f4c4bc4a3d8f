#!/usr/bin/env python3
"""Counts test cases: prints `PASSED FAILED` for the build events (JSON lines) of `bazel test`.

A GoogleTest counts by its cases, every other test as one; a target that fails to build is one
failure.
"""

import json
import sys
import urllib.parse
import urllib.request
import xml.etree.ElementTree as ElementTree
from typing import Iterable, NamedTuple


class Count(NamedTuple):
  passed: int
  failed: int


def count_cases(xml: str) -> Count:
  """Counts the cases of a test.xml; those that did not run count as neither."""
  cases = [case for case in ElementTree.fromstring(xml).iter("testcase")
           if case.get("status") != "notrun"]
  failed = sum(case.find("failure") is not None or case.find("error") is not None for case in cases)
  return Count(len(cases) - failed, failed)


def count_result(result: dict) -> Count:
  """Counts one attempt of one test; its status has the last word over its test.xml."""
  count = Count(0, 0)
  for output in result.get("testActionOutput", []):
    if output["name"] == "test.xml":
      path = urllib.request.url2pathname(urllib.parse.urlparse(output["uri"]).path)
      try:
        with open(path, encoding="utf-8", errors="replace") as file:
          count = count_cases(file.read())
      except (OSError, ElementTree.ParseError):
        pass  # A test that was killed may leave half a file.
  if result["status"] in ("PASSED", "FLAKY"):
    return Count(max(count.passed, 1), count.failed)
  return Count(count.passed, max(count.failed, 1))


def count_events(lines: Iterable[str]) -> Count:
  """Adds up the last attempt of each test, and the targets that were not built."""
  counts = {}
  for line in lines:
    event = json.loads(line)
    identity = event["id"]
    if "testResult" in identity:
      test = identity["testResult"]
      # A later attempt replaces an earlier one.
      key = (test["label"], test.get("run"), test.get("shard"))
      counts[key] = count_result(event["testResult"])
    elif "targetCompleted" in identity:
      skipped = event.get("aborted", {}).get("reason") == "SKIPPED"
      if not skipped and not event.get("completed", {}).get("success"):
        counts[identity["targetCompleted"]["label"]] = Count(0, 1)
  return Count(sum(count.passed for count in counts.values()),
               sum(count.failed for count in counts.values()))


if __name__ == "__main__":
  with open(sys.argv[1], encoding="utf-8") as events:
    print(*count_events(events))
