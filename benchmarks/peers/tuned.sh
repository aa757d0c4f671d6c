#!/bin/sh
# Runs a command with jemalloc and transparent huge pages, which spares a framework most of its page faults:
#   tuned.sh python3 unet_pytorch.py --width 64
# Freed memory is kept for ever (decay -1), and large blocks come from the same arenas as small ones.
# Needs libjemalloc2, and /sys/kernel/mm/transparent_hugepage/enabled at `madvise` or `always`.
set -eu
library=$(ldconfig -p | sed -n 's/.*libjemalloc\.so\.2.* => //p' | head -n 1)
[ -n "$library" ] || { echo "tuned.sh: expected libjemalloc.so.2, found none; install libjemalloc2" >&2; exit 1; }
exec env LD_PRELOAD="$library" \
  MALLOC_CONF=thp:always,dirty_decay_ms:-1,muzzy_decay_ms:-1,oversize_threshold:0 "$@"
