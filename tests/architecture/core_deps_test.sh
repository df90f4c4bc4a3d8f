#!/usr/bin/env bash
# core_deps_test.sh DEPS FACE...: the dependencies of the core name neither gRPC nor Protobuf.
set -euo pipefail

deps=$1
shift

# A query that came back empty would pass everything.
for face in "$@"; do
  grep -qxF "$face" "$deps" || {
    echo "$deps does not hold $face: the query is broken"
    exit 1
  }
done

if grep -E 'grpc|protobuf|^//(proto|cli|tests)[/:]' "$deps"; then
  echo "The core depends on the labels above. Find the way there with:"
  echo "  bazel query 'somepath(set($*), LABEL)'"
  exit 1
fi
