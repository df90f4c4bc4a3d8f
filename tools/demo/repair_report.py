#!/usr/bin/env python3
"""Says what repair has moved: repair_report.py KEYS BYTES BEFORE... -- AFTER...

KEYS and BYTES are what a full copy would move.

BEFORE and AFTER are files with the JSON of `slipctl status`. A node that was started in between has
no file before: its counters began at 0.
"""

import json
import sys


def totals(paths: list) -> dict:
  """Returns the sums of the repair counters over some nodes."""
  sums = {}
  for path in paths:
    with open(path, encoding="utf-8") as file:
      for name, count in json.load(file)["repair"].items():
        sums[name] = sums.get(name, 0) + count
  return sums


def main(arguments: list):
  split = arguments.index("--")
  full_keys, full_bytes = int(arguments[0]), int(arguments[1])
  before, after = totals(arguments[2:split]), totals(arguments[split + 1:])
  moved = {name: count - before.get(name, 0) for name, count in after.items()}
  keys = moved["received_record_count"] + moved["sent_record_count"]
  record_bytes = moved["received_record_bytes"] + moved["sent_record_bytes"]
  search_bytes = moved["metadata_bytes"]
  share = 100 * (record_bytes + search_bytes) / max(full_bytes, 1)
  print(f"a full copy  {full_keys:,} keys, {full_bytes:,} bytes of keys and values\n"
        f"the repair   {keys:,} keys, {record_bytes:,} bytes of keys and values, "
        f"{search_bytes:,} bytes to find them:\n"
        f"             {share:.0f} % of the bytes, in {moved['round_trip_count']:,} round trips")


if __name__ == "__main__":
  main(sys.argv[1:])
