#!/usr/bin/env bash
# Larva VNC: another electron microscope's sections of the same animal, 4.6 nm a pixel, with membranes as white masks.
# Usage: larva_vnc.sh DATA OUT    DATA: raw/*.tif and membranes/*.png; see docs/experiments/larva_vnc.md
#   STEPS [8000]; MODEL: file or name of a model trained elsewhere, scored on the same pages, too [none]; the others are told in common.sh
set -euo pipefail
here=$(dirname "$0")
. "$here/common.sh"
(($# == 2)) || { sed -n '3,4s/^# //p' "$0" >&2; exit 2; }
data=$1 out=$2 steps=${STEPS:-8000} pages=10-14
require "$data/raw" "$data/membranes"
mkdir -p "$out"

say "Validate on sections $pages, train on 0-9, $steps steps"
train "$out/run" --images "$data/raw" --labels "$data/membranes" classes --background 1 --val-pages "$pages" --preset tiny \
  --set run.select=latest --set run.validation_interval=1000000 --steps "$steps"

collected=()
columns=(pixel_error warping_error rand_error v_rand v_info)
evaluate() {  # evaluate NAME RUN AVERAGING
  local folder=$out/$1_$3 json=$out/$1_$3.json column
  mkdir -p "$folder"
  infer "$2" --input "$data/raw" --pages "$pages" --tta "$3" --output "$folder/"
  "$bin/unet_eval" --metric isbi2012 --labels classes --background 1 --truth "$data/membranes" --pages "$pages" \
    --prediction "$folder" --json "$json" --quiet
  printf '%-10s %-5s' "$1" "$3"
  for column in "${columns[@]}"; do printf ' %13.6f' "$(score "$json" "$column")"; done
  echo
  collected+=("$1_$3=$json")
}
printf '%-10s %-5s' model tta && printf ' %13s' "${columns[@]}" && echo
for averaging in none d4 rot7; do evaluate trained "$out/run" "$averaging"; done
[[ -z ${MODEL:-} ]] || evaluate elsewhere "$MODEL" rot7

collect "$out/scores.json" "${collected[@]}"
echo "scores: $out/scores.json"
