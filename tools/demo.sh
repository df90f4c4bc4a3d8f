#!/usr/bin/env bash
# demo.sh [--keep] [--binaries DIR] [--many-keys N]: three nodes on this machine; one is killed,
# falls behind, comes back and is repaired. Then one node holds N keys (a million) in little memory.
# Sets up and builds first, unless --binaries names where node/slipstreamd and cli/slipctl are.
# --keep leaves the three nodes running and prints what to type.
set -euo pipefail

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly repository
readonly start_seconds_max=30
readonly start_attempts_max=10
# While a node is away: 500 keys differ in the end.
readonly written_keys=200 changed_keys=200 deleted_keys=100

fail() {
  echo "demo.sh: $1" >&2
  exit "${2:-1}"
}

# Prints a command as one would type it, and runs it.
show() {
  echo "\$ $1"
  eval "$1"
}

section() {
  printf '\n== %s\n\n' "$1"
}

keep=false
binaries=
many_keys=1000000
while [[ $# -gt 0 ]]; do
  case $1 in
    --keep) keep=true ;;
    --binaries)
      [[ $# -ge 2 ]] || fail "--binaries needs a folder" 2
      binaries=$2
      shift
      ;;
    --many-keys)
      [[ ${2-} =~ ^[1-9][0-9]*$ ]] || fail "--many-keys needs a number" 2
      many_keys=$2
      shift
      ;;
    -h | --help)
      sed -n '2,5s/^# //p' "${BASH_SOURCE[0]}"
      exit 0
      ;;
    *) fail "unknown argument $1; there are --keep, --binaries DIR and --many-keys N" 2 ;;
  esac
  shift
done

# What is running, by node number; empty for a node that is not. The fourth is alone.
pids=("" "" "" "")
ports=(0 0 0 0)
work=$(mktemp -d "${TMPDIR:-/tmp}/slipstream-demo.XXXXXX")

stop_node() {
  local pid=${pids[$1]} signal=$2
  pids[$1]=
  [[ -n $pid ]] || return 0
  kill "-$signal" "$pid" 2>/dev/null || true
  wait "$pid" 2>/dev/null || true
}

clean_up() {
  local status=$?
  trap - EXIT
  if [[ $status -eq 0 && $keep == true ]]; then
    exit 0
  fi
  for i in 0 1 2 3; do stop_node "$i" TERM; done
  rm -rf "$work"
  exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

build() {
  section "Setting up and building"
  "$repository/tools/setup.sh" --build-only
  cd "$repository"
  show "bazel build --config=opt //node:slipstreamd //cli:slipctl"
  binaries=$(bazel info --config=opt bazel-bin 2>/dev/null)
}

# Picks ports below those that the kernel gives to outgoing connections.
choose_ports() {
  local first_ephemeral
  read -r first_ephemeral _ </proc/sys/net/ipv4/ip_local_port_range
  [[ $first_ephemeral -gt 20000 ]] || first_ephemeral=20000
  local base=$((10000 + RANDOM % (first_ephemeral - 10003)))
  ports=("$base" $((base + 1)) $((base + 2)) 0)
  peers="127.0.0.1:${ports[0]},127.0.0.1:${ports[1]},127.0.0.1:${ports[2]}"
}

# Starts node $1, with more flags if any, and waits until it listens. Returns 1 if it ended instead.
start_node() {
  local i=$1 name=n$(($1 + 1)) ready
  shift
  rm -f "$work/ready"
  mkfifo "$work/ready"
  slipstreamd --listen="127.0.0.1:${ports[i]}" --node-name="$name" --data-dir="$work/$name" "$@" \
    >"$work/ready" 2>>"$work/$name.log" </dev/null &
  pids[i]=$!
  if ! read -r -t "$start_seconds_max" ready <"$work/ready"; then
    stop_node "$i" KILL
    return 1
  fi
  echo "$ready" | tee "$work/$name.ready"
}

start_member() {
  start_node "$1" --peers="$peers" --gossip-interval=200ms
}

start_cluster() {
  for ((attempt = 0; attempt < start_attempts_max; attempt++)); do
    choose_ports
    if start_member 0 && start_member 1 && start_member 2; then return; fi
    for i in 0 1 2; do stop_node "$i" TERM; done
    # Another port helps only against this.
    if ! grep -qs "in use" "$work"/n?.log; then
      cat "$work"/n?.log >&2
      fail "a node does not start"
    fi
    rm -rf "$work"/n?.log "$work"/n?
  done
  fail "no three free ports in a row"
}

# Writes KEY<TAB>VALUE lines of some text that this system has.
write_input() {
  local names
  names=$(compgen -G '/usr/share/perl/5*/unicore/Name.pl' | head -n 1) || true
  if [[ -n $names ]]; then
    # The names of Unicode's characters, as Perl knows them: U+1F600 is GRINNING FACE.
    awk 'BEGIN { RS = ""; FS = "\n" }
      $1 ~ /^[0-9A-F]+$/ { sub(/^0/, "", $1); print "U+" $1 "\t" $2 }' "$names"
  else
    awk '{ print "status:" NR "\t" $0 }' /var/lib/dpkg/status
  fi
}

[[ -n $binaries ]] || build
binaries=$(cd "$binaries" && pwd)
PATH="$binaries/node:$binaries/cli:$PATH"
command -v slipstreamd >/dev/null || fail "no slipstreamd in $binaries/node"
unset SLIPCTL_ENDPOINT

section "Three nodes, each with a log of its own"
start_cluster
n1=127.0.0.1:${ports[0]}
n2=127.0.0.1:${ports[1]}
n3=127.0.0.1:${ports[2]}
cd "$work"

section "Real data goes in through n1, and comes out of n3"
write_input >input.tsv
# A name may have been given twice; a key counts once.
cut -f 1 input.tsv | sort -u >keys.txt
key_count=$(wc -l <keys.txt)
[[ $key_count -ge 10000 ]] || fail "found only $key_count lines of text to store"
sample=$(sed -n "$((key_count / 2))p" keys.txt)
if grep -qx 'U+1F600' keys.txt; then sample=U+1F600; fi
show "head -n 3 input.tsv"
show "slipctl import input.tsv --timeout 10s --endpoint $n1"
show "slipctl wait --converged --endpoint $n1"
show "slipctl get $sample --endpoint $n3"

section "n3 is killed, and the others go on without it"
seq "$written_keys" | sed 's/.*/news:&\twritten while n3 was away/' >new.tsv
head -n "$changed_keys" keys.txt | sed 's/$/\tchanged while n3 was away/' >changed.tsv
tail -n "$deleted_keys" keys.txt >deleted.txt
echo "\$ kill -KILL ${pids[2]}"
stop_node 2 KILL
show "slipctl import new.tsv --endpoint $n1"
show "slipctl import changed.tsv --endpoint $n2"
show "slipctl import --delete deleted.txt --endpoint $n2"
show "slipctl root --endpoint $n1" || [[ $? -eq 5 ]]

section "n3 comes back, and repair moves only what differs"
slipctl status -o json --endpoint "$n1" >before1.json
slipctl status -o json --endpoint "$n2" >before2.json
start_member 2 || fail "n3 does not start again: $(cat n3.log)"
show "slipctl wait --converged --timeout 30s --endpoint $n1"
for i in 1 2 3; do
  endpoint=n$i
  slipctl status -o json --endpoint "${!endpoint}" >"after$i.json"
done
# Without the TAB and the newline of each line.
read -r full_keys full_bytes < <(slipctl scan -o raw --endpoint "$n3" |
  LC_ALL=C awk '{ bytes += length($0) - 1 } END { print NR, bytes }')
echo
python3 "$repository/tools/demo/repair_report.py" "$full_keys" "$full_bytes" \
  before1.json before2.json -- after1.json after2.json after3.json

section "What was deleted stays deleted on n3"
deleted=$(head -n 1 deleted.txt)
code=0
show "slipctl get $deleted --endpoint $n3" || code=$?
[[ $code -eq 3 ]] || fail "$deleted is back, or cannot be asked for: exit code $code"
show "slipctl get news:1 --endpoint $n3"

section "A proof that needs no server"
show "slipctl prove $sample --endpoint $n3 > proof.json"
root=$(slipctl root -o raw --endpoint "$n1")
if [[ $keep == false ]]; then
  for i in 0 1 2; do stop_node "$i" TERM; done
  echo "(all nodes are stopped)"
fi
show "slipctl verify proof.json --root $root"

section "More keys than fit in memory"
few_bytes=(--memory-limit=64MiB --value-cache=30MiB)
echo "\$ slipstreamd ${few_bytes[*]}"
start_node 3 "${few_bytes[@]}" || fail "n4 does not start: $(cat n4.log)"
n4=$(sed -n 's/.*listening on \([0-9.:]*\).*/\1/p' n4.ready)
seq "$many_keys" | sed 's/.*/item:&\tthis is the value of item number &/' >many.tsv
show "slipctl import many.tsv --timeout 60s --endpoint $n4"
# Counts every key; status alone counts those on disk as of the tree's last settling.
many_root=$(slipctl root -o raw --timeout 60s --endpoint "$n4")
show "slipctl status --endpoint $n4 | grep -E '^(keys|memory|index)'"
show "slipctl get item:7 --endpoint $n4"
echo "\$ kill -KILL ${pids[3]}"
stop_node 3 KILL
started=$(date +%s%N)
start_node 3 "${few_bytes[@]}" || fail "n4 does not start again: $(cat n4.log)"
n4=$(sed -n 's/.*listening on \([0-9.:]*\).*/\1/p' n4.ready)
echo "(ready after $((($(date +%s%N) - started) / 1000000)) ms)"
show "slipctl get item:$many_keys --endpoint $n4"
[[ $(slipctl root -o raw --timeout 60s --endpoint "$n4") == "$many_root" ]] ||
  fail "the root is another one after the restart"
echo "(the root is what it was)"
stop_node 3 TERM

if [[ $keep == true ]]; then
  section "The cluster is still running"
  cat <<END
export PATH="$binaries/cli:\$PATH"
export SLIPCTL_ENDPOINT=$n1,$n2,$n3
slipctl root
slipctl put greeting hello && slipctl get greeting --endpoint $n3
slipctl status
slipctl --help

To stop it: kill ${pids[*]}
and after that: rm -r $work
END
fi
