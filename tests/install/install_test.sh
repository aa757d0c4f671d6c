#!/usr/bin/env bash
# Installs a build, moves the installation, builds docs/example against it and runs that. Usage: install_test.sh BUILD
set -euo pipefail

build=$1
root=$(cd "$(dirname "$0")/../.." && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

cmake --install "$build" --prefix "$scratch/first" >/dev/null
mv "$scratch/first" "$scratch/prefix" # nothing in it may name the place it was installed to
"$root/tests/lint/lint.sh" leaks "$scratch/prefix/include/unet"
if grep -rIlF -e "$root" -e "$build" -e "$scratch" "$scratch/prefix/lib" "$scratch/prefix/include"; then
  echo "FAILED: the files above name folders of the build"
  exit 1
fi

cp -r "$root/docs/example" "$scratch/example"
cmake -S "$scratch/example" -B "$scratch/build" -DCMAKE_BUILD_TYPE=Release -DCMAKE_PREFIX_PATH="$scratch/prefix" \
  -DCMAKE_CXX_FLAGS='-Wall -Wextra -Werror'
cmake --build "$scratch/build"
"$scratch/build/example" | tee "$scratch/losses"
awk '$3 == "loss" { if (!n++) first = $4; last = $4 }
     END { if (!(n >= 3 && last < 0.1 * first)) { print "FAILED: the loss did not fall to a tenth"; exit 1 } }' \
  "$scratch/losses"
