#!/usr/bin/env bash
# test.sh [BAZEL_FLAG...]: runs every check and test; the last line is "N passed, N failed".
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

passed=0
failed=0

check() {
  local name=$1
  shift
  if "$@"; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    echo "FAILED: $name" >&2
  fi
}

mapfile -t scripts < <(
  git -c safe.directory='*' ls-files --cached --others --exclude-standard -- '*.sh' .ci/run
)
events=$(mktemp)
trap 'rm -f "$events"' EXIT

# No test of ours, unless it fails.
tools/setup.sh || failed=1
check "tools/format.sh --check" tools/format.sh --check
check "buf lint" tools/buf/node_modules/.bin/buf lint proto
check "shellcheck" shellcheck "${scripts[@]}"

# One target that does not build must not hide the others.
status=0
bazel test --keep_going --show_progress_rate_limit=20 --build_event_json_file="$events" \
  "$@" //... || status=$?
counts=$(python3 tools/test_results.py "$events") || counts="0 0" status=1
read -r tests_passed tests_failed <<<"$counts"
# A broken BUILD file leaves nothing to count.
if [[ $status -ne 0 && $tests_failed -eq 0 ]]; then
  tests_failed=1
fi

passed=$((passed + tests_passed))
failed=$((failed + tests_failed))
echo "$passed passed, $failed failed"
[[ $failed -eq 0 ]]
