#!/usr/bin/env bash
# setup.sh [--build-only]: installs what the build and the tests need and is not there yet, from
# Debian 12's packages and from npm; with --build-only, nothing from npm and no other database, so
# all but the comparing benchmarks can be built. Needs root only when a Debian package is missing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

build_only=false
case ${1-} in
  "") ;;
  --build-only) build_only=true ;;
  *)
    echo "setup.sh: unknown argument $1; there is --build-only" >&2
    exit 2
    ;;
esac

packages=(
  # The build.
  bazel-bootstrap bazel-rules-java bazel-rules-proto clang clang-14 lld libclang-rt-14-dev
  binutils pkg-config git
  # Libraries, each named in bazel/deps.
  libabsl-dev libbenchmark-dev libcli11-dev libgmock-dev libgrpc++-dev libgtest-dev libisal-dev
  liblz4-dev libprotobuf-dev libspdlog-dev libssl-dev liburing-dev libzstd-dev
  nlohmann-json3-dev protobuf-compiler protobuf-compiler-grpc
  # Checks, and the client in Python.
  clang-format-14 clang-tidy-14 shellcheck
  python3 python3-grpc-tools python3-grpcio python3-protobuf
)
if [[ $build_only == false ]]; then
  # What tests/bench compares with. Not redis-server, which would start a service: redis-tools holds
  # the same program under the name redis-check-rdb.
  packages+=(fio libleveldb-dev liblmdb-dev libtkrzw-dev redis-tools)
  # A machine may have its own Node.js, which Debian's would not improve.
  command -v node >/dev/null || packages+=(nodejs)
  command -v npm >/dev/null || packages+=(npm ca-certificates)
fi

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null) || true
  [[ $status == installed ]] || missing+=("$package")
done

if [[ ${#missing[@]} -gt 0 ]]; then
  install=(apt-get install --yes --no-install-recommends "${missing[@]}")
  if [[ $EUID -ne 0 ]]; then
    echo "Packages are missing. As root, run:" >&2
    echo "  apt-get update && ${install[*]}" >&2
    exit 1
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get update
  "${install[@]}"
fi

# Bazel lists the system's headers once for each output base, for layering_check: a list made before
# a library was installed, even from another checkout at this path, does not know its headers.
header_list="$(bazel info output_base 2>/dev/null)/external/local_config_cc/module.modulemap"
if [[ -e $header_list ]]; then
  unlisted=$(dpkg --listfiles "${packages[@]}" | sort -u | grep '^/usr/include/.*\.h$' |
    grep --invert-match --line-regexp --fixed-strings \
      --file=<(sed --quiet 's/.*"\(.*\)"$/\1/p' "$header_list")) || true
  [[ -z $unlisted ]] || bazel sync --configure
fi

[[ $build_only == false ]] || exit 0

# buf, which lints the API, and the client in JavaScript.
for folder in tools/buf tests/integration/node_client; do
  # npm writes this file last, so an interrupted install is made again.
  [[ $folder/node_modules/.package-lock.json -nt $folder/package-lock.json ]] ||
    npm --prefix "$folder" ci --ignore-scripts --no-audit --no-fund
done
