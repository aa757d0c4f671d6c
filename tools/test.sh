#!/usr/bin/env bash
# Everything that has to pass: installs what is missing, builds with warnings as errors, runs all tests and lint rules.
# Usage: test.sh [PRESET]   PRESET: check (default) or sanitize; further options go to ctest, such as -L unit
set -euo pipefail
cd "$(dirname "$0")/.."

preset=check
if [[ $# -gt 0 && $1 != -* ]]; then
  preset=$1
  shift
fi
tools/install_dependencies.sh --tests

command -v ninja >/dev/null && export CMAKE_GENERATOR=${CMAKE_GENERATOR:-Ninja}
command -v ccache >/dev/null && export CMAKE_CXX_COMPILER_LAUNCHER=${CMAKE_CXX_COMPILER_LAUNCHER-ccache}
jobs=$(nproc)
memory_gib=$(awk '/MemAvailable/ {print int($2 / 1048576)}' /proc/meminfo)
((jobs <= memory_gib)) || jobs=$((memory_gib > 1 ? memory_gib : 1))  # a compiler takes up to 1 GiB

cmake --preset "$preset"
cmake --build --preset "$preset" --parallel "$jobs"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
ctest --preset "$preset" --parallel "$jobs" "$@" | tee "$log" || status=$?

count() { grep -cE "$1" "$log" || true; }
echo
echo "$(count '^ *[0-9]+/[0-9]+ Test +#') tests: $(count 'Test +#.* Passed +') passed," \
  "$(count 'Test +#.*\*\*\*Skipped') skipped, $(count 'Test +#.*\*\*\*(Failed|Timeout|Exception|Not Run)') failed"
sed -nE 's/^ *[0-9]+\/[0-9]+ Test +#[0-9]+: (.*[^ .]) *\.*\*\*\*Skipped.*/skipped: \1/p' "$log"
exit "$status"
