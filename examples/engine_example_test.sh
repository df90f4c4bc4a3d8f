#!/usr/bin/env bash
# engine_example_test.sh EXAMPLE: the example says what it should, in a new directory and again in
# the same one.
set -euo pipefail

example=$1
directory=$TEST_TMPDIR/store

expected='get greeting: hello
get greeting after its delete: (absent)
batch: 3 records in one
bob has 50 after the transaction
record account/alice = 70
record account/bob = 50
record session/1 = alice
1 deleted'

for run in first second; do
  # The walk is in the order of key_ids; the test is not about that.
  "$example" "$directory" >"$TEST_TMPDIR/said"
  if ! diff <(sort <<<"$expected") <(sort "$TEST_TMPDIR/said"); then
    echo "the $run run said something else"
    exit 1
  fi
done

# It must say so, not crash, where it cannot work.
touch "$TEST_TMPDIR/file"
if "$example" "$TEST_TMPDIR/file/store" 2>"$TEST_TMPDIR/error"; then
  echo "a directory below a file was opened"
  exit 1
fi
grep -qF "$TEST_TMPDIR/file/store" "$TEST_TMPDIR/error"
