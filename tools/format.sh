#!/usr/bin/env bash
# format.sh [--check]: formats the C++ and Protobuf files in place, or says which would change.
set -euo pipefail
cd "${BUILD_WORKSPACE_DIRECTORY:-$(dirname "${BASH_SOURCE[0]}")/..}"

case "$*" in
  "") clang_format=(-i) buf_format=(-w) ;;
  --check) clang_format=(--dry-run -Werror) buf_format=(--diff --exit-code) ;;
  *)
    echo "usage: tools/format.sh [--check]" >&2
    exit 2
    ;;
esac

# The tree may belong to another user, as in a container; git is only asked to read it.
files=$(git -c safe.directory='*' ls-files --cached --others --exclude-standard -- '*.cc' '*.h')
status=0
while IFS= read -r file; do
  # A deleted file stays in git's list until it is staged.
  [[ ! -f $file ]] || clang-format-14 "${clang_format[@]}" "$file" || status=1
done <<<"$files"

buf=tools/buf/node_modules/.bin/buf
if [[ -x $buf ]]; then
  "$buf" format "${buf_format[@]}" proto || status=1
else
  echo "Protobuf files were left alone: tools/setup.sh installs buf."
fi
exit "$status"
