#!/usr/bin/env bash
# Installs those Debian packages that are missing; as root or with sudo, and only if there are any.
# Usage: install_dependencies.sh [--tests]   --tests: also what testing takes
set -euo pipefail

packages=(g++ cmake ninja-build pkg-config libdnnl-dev libtiff-dev libpng-dev libcli11-dev nlohmann-json3-dev
          libtomlplusplus-dev)
optional=()  # tests that need one of these are skipped without it
if [[ ${1:-} == --tests ]]; then
  packages+=(catch2)
  optional+=(clang-format-14 chromium)
elif [[ $# -gt 0 ]]; then
  echo "usage: $0 [--tests]" >&2
  exit 2
fi

if ! command -v apt-get >/dev/null; then
  echo "This is no Debian system; the build takes: ${packages[*]} ${optional[*]}" >&2
  exit 0
fi

is_installed() { [[ $(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null) == installed ]]; }
missing_of() {
  local package
  for package in "$@"; do is_installed "$package" || echo "$package"; done
}
as_root() {
  if ((EUID == 0)); then
    "$@"
  else
    sudo "$@"
  fi
}
install() { as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"; }

mapfile -t missing < <(missing_of "${packages[@]}")
mapfile -t missing_optional < <(missing_of "${optional[@]}")
if ((${#missing[@]} + ${#missing_optional[@]} > 0)); then
  as_root apt-get update || echo "apt-get update failed; going on with the lists there are" >&2
fi
if ((${#missing[@]} > 0)); then install "${missing[@]}"; fi
for package in "${missing_optional[@]}"; do
  install "$package" || echo "$package is not to be had; the tests that need it will be skipped" >&2
done
