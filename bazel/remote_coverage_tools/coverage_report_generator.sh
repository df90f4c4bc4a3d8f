#!/usr/bin/env bash
# The real generator is a download, and this build fetches nothing.
echo "bazel coverage is not supported here: its report generator is not packaged." >&2
exit 1
