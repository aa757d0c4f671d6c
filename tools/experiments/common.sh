# What the experiments share: programs, folders of pages, training, scores. Sourced after `set -euo pipefail`.
#
#   UNET_BIN            folder of the programs [build/tools]
#   UNET_TRAIN_OPTIONS  more options of unet_train, such as "--device cuda"; they override the experiment's
#   UNET_INFER_OPTIONS  more options of unet_infer
#   UNET_THREADS        threads of all programs [1]: results depend on their number and on SEED alone
#   SEED                start of all random numbers [1]

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
bin=${UNET_BIN:-$root/build/tools}
threads=${UNET_THREADS:-1}
seed=${SEED:-1}
read -ra train_options <<<"${UNET_TRAIN_OPTIONS:-}"
read -ra infer_options <<<"${UNET_INFER_OPTIONS:-}"
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}
TIMEFORMAT='%R s, %U s of CPU time'

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

# require PATH...: ends with a message where one is missing.
require() {
  local path
  for path in "$@"; do
    [[ -e $path ]] || { echo "$(basename "$0"): $path is missing" >&2; exit 4; }
  done
}

# link_pages FOLDER FILE...: a folder of links to these files, in place of what it held.
link_pages() {
  local folder=$1 file
  shift
  require "$@"
  rm -rf "$folder"
  mkdir -p "$folder"
  for file in "$@"; do ln -s "$(realpath "$file")" "$folder/$(basename "$file")"; done
}

# train RUN OPTION...: trains into RUN; goes on where an interrupted run stopped, and leaves a finished one alone: its
# scores are those of the options that it was trained with.
train() {
  local run=$1 resume=()
  shift
  if [[ -e $run/log.jsonl ]]; then
    if tail -n 1 "$run/log.jsonl" | grep -q '"exit_code":0'; then
      echo "$run: trained before; remove it to train with other options"
      return
    fi
    resume=(--resume)
  fi
  mkdir -p "$run"
  time "$bin/unet_train" --out "$run" --seed "$seed" --threads "$threads" "${resume[@]}" "$@" "${train_options[@]}" \
    >>"$run/output.txt" 2>&1 || { tail -n 3 "$run/output.txt" >&2; return 1; }
}

# infer RUN OPTION...: segments with the run's model; RUN may also be a model's file or name.
infer() {
  local model=$1
  [[ ! -d $model ]] || model=$model/model.safetensors
  shift
  "$bin/unet_infer" --model "$model" --threads "$threads" --quiet "$@" "${infer_options[@]}"
}

# score JSON KEY: a number from what unet_eval --json wrote.
score() { grep -o "\"$2\": [-0-9.e+]*" "$1" | head -n 1 | cut -d ' ' -f 2; }

# collect OUT NAME=JSON...: one file with all scores by name, and what they were made with.
collect() {
  local out=$1 pair
  shift
  {
    printf '{\n"commit": "%s",\n"seed": %s,\n"threads": %s' \
      "$(git -C "$root" describe --always --dirty 2>/dev/null || echo unknown)" "$seed" "$threads"
    for pair in "$@"; do printf ',\n"%s": %s' "${pair%%=*}" "$(cat "${pair#*=}")"; done
    printf '\n}\n'
  } >"$out"
}
