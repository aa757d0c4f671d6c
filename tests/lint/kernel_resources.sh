#!/usr/bin/env bash
# Registers, shared memory and spills of every CUDA kernel, as ptxas reports them. No GPU needed.
# Usage: kernel_resources.sh [--write] [FILE.cu ...]
#   Compiles the kernel sources (default: all) for sm_80 and sm_90a and compares the table with docs/kernel-resources.md;
#   --write replaces it. Fails where a kernel spills registers, and where the table differs that the same nvcc made.
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

# Lines "kernel architecture registers shared_bytes stack_bytes spilled_bytes" of one source, tab-separated.
measure() {
  local source=$1 architecture=$2 report
  report=$scratch/${source//\//_}.$architecture
  "${launcher[@]}" "$nvcc" -std=c++20 --expt-relaxed-constexpr -O3 -I. \
    -gencode "arch=compute_${architecture#sm_},code=$architecture" -Xptxas -v -c "$source" -o "$report.o" \
    2>"$report" || { cat "$report" >&2; return 1; }
  awk -v architecture="$architecture" '
    /Compiling entry function/ { split($0, part, "\047"); name = part[2] }
    /bytes stack frame/ { stack = $1; spilled = $5 + $9 }
    /Used [0-9]+ registers/ && name != "" {
      shared = 0
      for (i = 2; i <= NF; ++i) if ($i ~ /^smem/) shared = $(i - 2)
      for (i = 1; i < NF; ++i) if ($i == "Used") registers = $(i + 1)
      print name "\t" architecture "\t" registers "\t" shared "\t" stack "\t" spilled
      name = ""
    }' "$report" | c++filt -p | sed 's/unet::kernels:://g; s/gpu:://g; s/(anonymous namespace):://g; s/^void //'
}

markdown() {
  echo '# Resources of the CUDA kernels'
  echo
  echo "Made by \`tests/lint/kernel_resources.sh --write\` with $version. Shared bytes are the static ones;"
  echo 'kernels with tiles take more at launch. A test compares this table and fails on any spill.'
  local source
  for source in "${sources[@]}"; do
    echo
    echo "## $source"
    echo
    echo '| kernel | target | registers | shared bytes |'
    echo '|---|---|--:|--:|'
    awk -F '\t' '{ print "| `" $1 "` | " $2 " | " $3 " | " $4 " |" }' "$scratch/${source//\//_}.lines"
  done
}

version="CUDA $("$nvcc" --version | sed -n 's/.*release \([0-9.]*\), V\([0-9.]*\)/\2/p')"
# Compiles for both, as many at a time as there are cores; the lines come together afterwards.
running=0
for source in "${sources[@]}"; do
  for architecture in sm_80 sm_90a; do
    [[ $source == */sm90/* && $architecture == sm_80 ]] && continue  # an empty body there
    if ((running >= $(nproc))); then
      wait -n
    else
      running=$((running + 1))
    fi
    measure "$source" "$architecture" >"$scratch/${source//\//_}.$architecture.lines" &
  done
done
while ((running > 0)); do
  wait -n
  running=$((running - 1))
done

spills=0
for source in "${sources[@]}"; do
  lines=$scratch/${source//\//_}.lines
  sort "$scratch/${source//\//_}".sm_*.lines >"$lines"
  while IFS=$'\t' read -r name architecture registers _ stack spilled; do
    ((spilled == 0)) || { echo "$source: $name: $architecture: spills $spilled bytes with $registers registers and $stack bytes of stack"; spills=1; }
  done <"$lines"
done

if $write; then
  markdown >"$table"
elif (($# == 0)) && [[ ! -e $table ]]; then
  echo "docs/kernel-resources.md is missing: run $0 --write"
  exit 1
elif (($# == 0)) && grep -qF "with $version." "$table" 2>/dev/null; then
  markdown | diff "$table" - >"$scratch/difference" || {
    echo "docs/kernel-resources.md differs; look at the change, then run $0 --write:"
    cat "$scratch/difference"
    exit 1
  }
elif (($# == 0)); then
  echo "not compared: docs/kernel-resources.md was made by another nvcc than $version" >&2
fi
exit $spills
