#!/usr/bin/env bash
# Checks what the compiler does not. Usage: lint.sh RULE [TREE]
# Prints every breach as "rule: file:line: text" and then fails.
# Exit status: 0 kept, 1 broken, 2 wrong usage, 77 skipped because a program is missing.
set -euo pipefail
shopt -s nullglob globstar

rule=${1:-}
cd "${2:-$(dirname "$0")/../..}"

layers_and_tests=(kernels engine unet tools tests benchmarks)

text_files() {
  local folders=("${layers_and_tests[@]}" docs cmake .ci) found=() f
  for f in "${folders[@]}" ./*.txt ./*.json ./*.md; do [[ -e $f ]] && found+=("$f"); done
  find "${found[@]}" -type f -not -path '*/__pycache__/*' -not -name '*.safetensors' -not -name '*.tif*' -not -name '*.png'
}
source_files() { text_files | grep -E '\.(h|cpp|cu|cuh|cmake|sh|py)$|CMakeLists\.txt$'; }
cpp_files() { source_files | grep -E '\.(h|cpp|cu|cuh)$'; }
kernel_files() { source_files | grep -E '\.(cu|cuh)$'; }

# Lines of the files on standard input that match a pattern. Finding none is no failure here.
search() {
  local status=0
  xargs -d '\n' grep -HnE "$@" || status=$?
  ((status == 0 || status == 123))
}

# Includes point down: tools -> unet -> engine -> kernels. Above the engine only the vocabulary of kernels/ is known,
# no operation and no target; a target knows no other target, and a contract none at all.
layers() {
  local file line include layer allowed
  while IFS=: read -r file line include; do
    include=${include#*\"}
    include=${include%%\"*}
    layer=${file%%/*}
    case $file in
      kernels/cpu/*) allowed='^kernels/([^/]+|cpu/[^/]+)$' ;;
      kernels/reference/*) allowed='^kernels/([^/]+|reference/[^/]+)$' ;;
      kernels/cuda/device.cuh) allowed='^kernels/([^/]+|cuda/[^/]+|emulated/device\.h)$' ;;  # one prelude for both
      kernels/cuda/*) allowed='^kernels/([^/]+|cuda/.+)$' ;;
      kernels/emulated/*) allowed='^kernels/([^/]+|emulated/[^/]+)$' ;;
      kernels/cudnn/*) allowed='^kernels/([^/]+|cudnn/[^/]+|cuda/state\.h)$' ;;
      kernels/target.cpp) allowed='^kernels/([^/]+|[^/]+/(target|state)\.h)$' ;;  # makes the state of every target
      kernels/*) allowed='^kernels/[^/]+$' ;;
      engine/*) allowed='^(engine|kernels)/[^/]+$' ;;
      unet/*) allowed='^((unet|engine)/[^/]+|kernels/(error|types|philox|mirror)\.h)$' ;;
      tools/*) allowed='^((tools|unet|engine)/[^/]+|kernels/error\.h)$' ;;
      *) continue ;;
    esac
    [[ $include =~ $allowed ]] || echo "$file:$line: $layer does not include \"$include\""
  done < <(cpp_files | search '^ *# *include *"')
}

# An installed header includes what C++, the operating system or the installation itself bring, and no other library.
# TREE: the folder of the installed headers.
leaks() {
  local file line include
  [[ -n $(echo ./**/*.h) ]] || echo ".: no installed header"
  find . -name '*.h' | search '^ *# *include *<[^>]*(/|dnnl|tiff|png|toml|nlohmann|CLI|spdlog|omp|catch)[^>]*>' |
    grep -vE '<sys/' || true
  while IFS=: read -r file line include; do
    include=${include#*\"}
    [[ -f ${include%%\"*} ]] || echo "$file:$line: includes \"${include%%\"*}\", which is not installed"
  done < <(find . -name '*.h' | search '^ *# *include *"')
}

# The project speaks of itself alone.
paths() {
  text_files | search '/wor[k]/|/tmp/(buil[d]|setu[p]|peer[s])|(^|[^A-Za-z_])share[d]/|/hom[e]/|/roo[t]/'
}

unfinished() { text_files | search '\b(TO[D]O|FIX[M]E)\b'; }

# The libraries neither print nor end the process.
silent() {
  find kernels engine unet -name '*.h' -o -name '*.cpp' -o -name '*.cu' -o -name '*.cuh' |
    search 'std::(cout|cerr|clog)\b|\b(printf|fprintf|puts|exit|abort|quick_exit|terminate)\('
}

size() {
  local file lines
  while read -r file; do
    lines=$(wc -l <"$file")
    ((lines < 600)) || echo "$file:$lines: a source file has less than 600 lines"
  done < <(source_files)
}

# The list in ops.cmake and the files of an operation belong together.
operations() {
  local stem file count=0
  for stem in $(sed -n '/set(UNET_OPERATIONS/,/)/p' kernels/ops.cmake | sed 's/set(UNET_OPERATIONS//; s/[()]//g'); do
    count=$((count + 1))
    for file in kernels/{,reference/,cpu/}"$stem".cpp kernels/cuda/"$stem".cu kernels/"$stem".h tests/kernels/"$stem"_test.cpp; do
      [[ -s $file ]] || echo "$file:1: operation $stem of kernels/ops.cmake has no such file"
    done
  done
  ((count > 0)) || echo "kernels/ops.cmake:1: no operations"
  for file in kernels/reference/*.cpp; do
    stem=$(basename "$file" .cpp)
    grep -qw "$stem" kernels/ops.cmake || echo "$file:1: $stem is missing in kernels/ops.cmake"
  done
}

# A source file that no list names is not built, and a test so forgotten never fails.
listed() {
  local file name list
  for file in kernels/{cpu,cuda,cudnn}/*.cpp engine/*.cpp unet/*.cpp tools/*.cpp tests/{kernels,engine,unet,tools}/*.cpp; do
    list=${file%%/*}/CMakeLists.txt
    [[ $file =~ ^kernels/(cuda|cudnn)/ ]] && list=${file%/*}/CMakeLists.txt
    name=${file#*/}
    [[ $file =~ ^kernels/(cuda|cudnn)/ ]] && name=${file##*/}
    grep -qE "(^|[^[:alnum:]_/])${name//./\\.}" "$list" && continue
    name=$(basename "$file" .cpp)
    [[ $file =~ ^(tools|kernels/cu) ]] && grep -qw "$name" "$list" && continue  # listed without .cpp
    [[ $file =~ kernels/ ]] && grep -qw "${name%_test}" kernels/ops.cmake && continue
    echo "$file:1: missing in $list"
  done
  cpp_files | search 'TEST_CASE\("[^"]*;'  # CTest would take it for two tests, and find neither
}

# Kernel sources keep to what the emulator executes; see kernels/cuda/device.cuh.
kernels() {
  kernel_files | grep -v '/ptx\.cuh$' | search '^[^/]*\basm\b'
  kernel_files | grep -v '/device\.cuh$' | search '^[^/]*\b__shared__\b'
  kernel_files | search '^[^/]*(<<<|__activemask|# *include +<(mma\.h|cooperative_groups))'
  kernel_files | search '^[^/]*__global__' | grep -v __launch_bounds__ || true
}

# As clang-format 14 (Debian 12) has it; other versions differ in details.
format() {
  local tool=clang-format-14
  command -v $tool >/dev/null || tool=clang-format
  if ! $tool --version 2>/dev/null | grep -q 'version 14\.'; then
    echo "skipped: clang-format 14 is not installed" >&2
    exit 77
  fi
  cpp_files | xargs -d '\n' $tool --dry-run 2>&1 | grep 'warning:' || true
}

rules=(layers leaks paths unfinished silent size operations listed kernels format)
if [[ " ${rules[*]} " != *" $rule "* || -z $rule ]]; then
  echo "usage: lint.sh RULE [TREE], RULE one of: ${rules[*]}" >&2
  exit 2
fi
if [[ $rule != leaks && ! -f kernels/ops.cmake ]]; then
  echo "expected the project's tree, got $PWD" >&2
  exit 2
fi
breaches=$($rule) || exit $?
[[ -z $breaches ]] && exit 0
while read -r line; do echo "$rule: $line"; done <<<"$breaches"
exit 1
