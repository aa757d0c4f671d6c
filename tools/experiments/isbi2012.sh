#!/usr/bin/env bash
# ISBI 2012, membranes in electron micrographs: five folds over blocks of five pages, ablations, predictions of further pages.
# Usage: isbi2012.sh DATA OUT    DATA: train-volume.tif, train-labels.tif; see docs/experiments/isbi2012.md
#   PARTS [folds ablations final], FOLDS [0 1 2 3 4], STEPS [12000], PRESET [tiny], TTA [none d4 rot7]: kinds of averaging;
#   ABLATION_STEPS [6000], ABLATION_SEEDS [1 2 3], FINAL_STEPS [20000]; the others are told in common.sh
set -euo pipefail
here=$(dirname "$0")
. "$here/common.sh"
(($# == 2)) || { sed -n '3,5s/^# //p' "$0" >&2; exit 2; }
data=$1 out=$2 parts=${PARTS:-folds ablations final} steps=${STEPS:-12000} preset=${PRESET:-tiny}
read -ra averagings <<<"${TTA:-none d4 rot7}"
require "$data/train-volume.tif" "$data/train-labels.tif"
mkdir -p "$out"
collected=()

# train_pages RUN OPTION...: the newest model, not the best one on the pages that it is scored on.
train_pages() {
  local run=$1
  shift
  train "$run" --images "$data/train-volume.tif" --labels "$data/train-labels.tif" classes --preset "$preset" \
    --set run.select=latest --set run.validation_interval=1000000 "$@"
}

# evaluate NAME PAGES: scores of $out/NAME/run on these pages with every kind of averaging, a row of the table each.
evaluate() {
  local name=$1 pages=$2 averaging file json
  for averaging in "${averagings[@]}"; do
    file=$out/$name/$averaging.tif json=$out/$name/$averaging.json
    infer "$out/$name/run" --input "$data/train-volume.tif" --pages "$pages" --tta "$averaging" --output "$file"
    "$bin/unet_eval" --metric isbi2012 --truth "$data/train-labels.tif" --pages "$pages" --prediction "$file" --json "$json" \
      --quiet
    row "$name" "$averaging" "$json"
    collected+=("${name}_$averaging=$json")
  done
}
columns=(pixel_error warping_error rand_error v_rand v_info)
header() { printf '%-16s %-5s' run tta && printf ' %13s' "${columns[@]}" && echo; }
row() {
  local column
  printf '%-16s %-5s' "$1" "$2"
  for column in "${columns[@]}"; do printf ' %13.6f' "$(score "$3" "$column")"; done
  echo
}

if [[ " $parts " == *" folds "* ]]; then
  for fold in ${FOLDS:-0 1 2 3 4}; do
    pages=$((5 * fold))-$((5 * fold + 4))
    say "Fold $fold: validate on pages $pages, train on the others, $steps steps"
    train_pages "$out/fold$fold/run" --val-pages "$pages" --steps "$steps"
    header
    evaluate "fold$fold" "$pages"
  done
fi

if [[ " $parts " == *" ablations "* ]]; then
  for seed in ${ABLATION_SEEDS:-1 2 3}; do
    for variant in full no_elastic no_weight_map; do
      options=()
      [[ $variant != no_elastic ]] || options=(--set augmentation.elastic=none)
      [[ $variant != no_weight_map ]] || options=(--set weight_map.kind=none)
      say "Ablation $variant, seed $seed: ${ABLATION_STEPS:-6000} steps"
      train_pages "$out/${variant}_s$seed/run" --val-pages 20-24 --steps "${ABLATION_STEPS:-6000}" "${options[@]}"
      header
      evaluate "${variant}_s$seed" 20-24
    done
  done
  seed=${SEED:-1}
fi

if [[ " $parts " == *" final "* ]]; then
  say "All 25 pages, ${FINAL_STEPS:-20000} steps: the model that is shipped as models/em.safetensors"
  train_pages "$out/final/run" --val-fraction 0 --steps "${FINAL_STEPS:-20000}"
  for volume in heldout test; do
    [[ -e $data/$volume-volume.tif ]] || continue
    infer "$out/final/run" --input "$data/$volume-volume.tif" --tta rot7 --probability-bits 8 \
      --output "$out/final/${volume}_probability.tif"
  done
fi

collect "$out/scores.json" "${collected[@]}"
echo "scores: $out/scores.json"
