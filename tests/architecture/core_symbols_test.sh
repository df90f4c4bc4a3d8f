#!/usr/bin/env bash
# core_symbols_test.sh ARCHIVE...: the compiled core calls nothing that starts a thread, reads a
# clock or a random device, or touches a file or socket. Time, randomness, disk and network are
# passed in, so that one seed replays a whole cluster.
set -euo pipefail

absl='absl::([a-z0-9]+::)?'
banned="^(
  (__)?(open|openat|creat|p?readv?|p?writev?)(64)?(_2|_chk)?
  |rename|link|unlink|mkdir|rmdir|fsync|fdatasync
  |f(open|read|write)(64)?|std::basic_(i|o)?f(ile)?(stream|buf)<.*
  |socket|connect|bind|sendto|recvfrom|sendmsg|recvmsg|epoll_create1?|io_uring_.*
  |clock_gettime|gettimeofday|time|times|clock|std::chrono::.*::now\(\)
  |${absl}(Now|GetCurrentTimeNanos)\(\)
  |${absl}(Mutex|CondVar|Notification)::.*With(Timeout|Deadline)\(.*
  |(nano|u)?sleep|clock_nanosleep|AbslInternalSleepFor.*
  |pthread_create|thrd_create|fork|std::thread::_M_start_thread.*
  |s?rand(om)?|rand_r|[delmnj]rand48|arc4random.*|getrandom|getentropy|std::random_device::.*
  |RAND_.*|getenv|secure_getenv|getpid
)(@.*)?\$"
banned=${banned//[$'\n ']/}

[[ $# -gt 0 ]] || { echo "No archives to look at: the rule is broken"; exit 1; }

status=0
for archive in "$@"; do
  [[ -n $(nm "$archive") ]] || { echo "$archive: nm shows no symbols"; exit 1; }
  symbols=$(nm --demangle --undefined-only --format=just-symbols "$archive")
  if grep -E "$banned" <<<"$symbols" | sort -u; then
    echo "$archive: calls the above"
    status=1
  fi
done
exit "$status"
