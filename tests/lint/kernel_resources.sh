#!/usr/bin/env bash
# Registers, shared memory and spills of every CUDA kernel, as ptxas reports them. No GPU needed.
# Usage: kernel_resources.sh [--write] [FILE.cu ...]
#   Compares docs/kernel-resources.md with the kernel sources (default: all), compiled for sm_80 and sm_90a; --write replaces
#   the table. A source is compiled only where it, a header of it or nvcc is not the one that the table was made from.
#   Fails where a kernel spills registers, and where the table differs.
# Exit status: 0 as recorded, 1 spills or differences, 2 wrong usage, 77 skipped because nvcc is missing.
set -euo pipefail
shopt -s nullglob

root=$(cd "$(dirname "$0")/../.." && pwd)
table=$root/docs/kernel-resources.md
nvcc=${NVCC:-$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)}
if [[ ! -x $nvcc ]]; then
  echo "skipped: expected nvcc to measure the kernels' registers, found none; set NVCC" >&2
  exit 77
fi
write=false
if [[ ${1:-} == --write ]]; then
  write=true
  shift
fi
cd "$root"
sources=("$@")
((${#sources[@]} > 0)) || sources=(kernels/cuda/*.cu kernels/cuda/sm90/*.cu)
((${#sources[@]} > 0)) || { echo "expected kernel sources in kernels/cuda, found none" >&2; exit 2; }

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
launcher=()
command -v ccache >/dev/null && launcher=(ccache)  # keeps ptxas's report too
version=$("$nvcc" --version | sed -n 's/.*release .*, V\([0-9.]*\).*/\1/p')

# The source and every header of the project that it includes, directly or not.
closure() {
  local known=("$1") i=0 header
  while ((i < ${#known[@]})); do
    while read -r header; do
      [[ -f $header && " ${known[*]} " != *" $header "* ]] && known+=("$header")
    done < <(sed -n 's/^ *# *include *"\([^"]*\)".*/\1/p' "${known[i]}")
    i=$((i + 1))
  done
  printf '%s\n' "${known[@]}" | sort
}
# Of all that the numbers of a source depend on.
checksum() { { echo "$version"; closure "$1" | xargs -d '\n' cat; } | sha256sum | cut -c1-16; }

# Table rows of one source and architecture.
measure() {
  local source=$1 architecture=$2 report
  report=$scratch/${source//\//_}.$architecture
  "${launcher[@]}" "$nvcc" -std=c++20 --expt-relaxed-constexpr -O3 -I. \
    -gencode "arch=compute_${architecture#sm_},code=$architecture" -Xptxas -v -c "$source" -o "$report.o" \
    2>"$report" || { cat "$report" >&2; return 1; }
  awk -v architecture="$architecture" '
    /Compiling entry function/ { split($0, part, "\047"); name = part[2] }
    /bytes stack frame/ { spilled = $5 + $9 }
    /Used [0-9]+ registers/ && name != "" {
      shared = 0
      for (i = 2; i <= NF; ++i) if ($i ~ /^smem/) shared = $(i - 2)
      for (i = 1; i < NF; ++i) if ($i == "Used") registers = $(i + 1)
      print "| `" name "` | " architecture " | " registers " | " shared " | " spilled " |"
      name = ""
    }' "$report" | c++filt -p | sed 's/unet::kernels:://g; s/gpu:://g; s/(anonymous namespace):://g; s/`void /`/'
}

# The rows of a source in the table; fails unless they were made from the same files by the same nvcc.
recorded() {
  [[ -e $table ]] || return 1
  awk -v title="## $1" -v mark="<!-- $2 -->" '
    /^## / { if (found) exit; inside = $0 == title; next }
    inside && $0 == mark { found = 1; next }
    found && /^\| `/ { print }
    END { exit !found }' "$table"
}

# Compiles as many at a time as there are cores; a section's rows come together in $scratch/SOURCE.rows.
running=0
for source in "${sources[@]}"; do
  base=$scratch/${source//\//_}
  checksum "$source" >"$base.checksum"
  if recorded "$source" "$(<"$base.checksum")" >"$base.0.rows"; then continue; fi
  for architecture in sm_80 sm_90a; do
    [[ $source == */sm90/* && $architecture == sm_80 ]] && continue  # an empty body there
    if ((running >= $(nproc))); then wait -n; else running=$((running + 1)); fi
    measure "$source" "$architecture" >"$base.$architecture.rows" &
  done
done
while ((running > 0)); do
  wait -n
  running=$((running - 1))
done

{
  echo '# Resources of the CUDA kernels'
  echo
  echo "Made by \`tests/lint/kernel_resources.sh --write\` with nvcc $version. Shared bytes are the static ones; kernels with tiles"
  echo 'take more at launch. A test compares this table and fails on any spill. The mark of a section is a checksum of what was'
  echo 'compiled.'
  for source in "${sources[@]}"; do
    base=$scratch/${source//\//_}
    printf '\n## %s\n\n<!-- %s -->\n\n' "$source" "$(<"$base.checksum")"
    echo '| kernel | target | registers | shared bytes | spilled bytes |'
    echo '|---|---|--:|--:|--:|'
    LC_ALL=C sort "$base".*.rows
  done
} >"$scratch/table"

status=0
grep -E '^\| `.* \| [1-9][0-9]* \|$' "$scratch/table" | sed 's/^/spills: /' && status=1
if $write; then
  cp "$scratch/table" "$table"
elif (($# == 0)) && ! diff "$table" "$scratch/table" >"$scratch/difference" 2>&1; then
  echo "docs/kernel-resources.md differs; look at the change, then run $0 --write:"
  cat "$scratch/difference"
  status=1
fi
exit $status
