#!/usr/bin/env bash
# Nuclei in fluorescence: trains the model that is shipped as models/nuclei.safetensors, and scores it by kind of image.
# Usage: nuclei.sh DATA OUT    DATA: dsb2018_nuclei, with images/ and labels/ (instances). Data: docs/experiments/nuclei.md
#   STEPS [12000]; the others are told in common.sh
set -euo pipefail
here=$(dirname "$0")
. "$here/common.sh"
(($# == 2)) || { sed -n '3,4s/^# //p' "$0" >&2; exit 2; }
data=$1 out=$2 steps=${STEPS:-12000}
require "$data/images" "$data/labels"

# Gray fluorescence images by kind. Of three in the order of their names, the last is held out. The other images, 6 of
# stained tissue in color and 3 in bright field, are another task.
declare -A kinds=(
  [small]="00071198d059ba7f 003cee89357d9fe1 0280fa8f60f6bcae 05a8f65ebd0b30d3 06350c7cc618be44 072ff14c1d3245bf
           07761fa39f60dc37 077f026f4ab0f0bc 08ae2741df2f5ac8 094afe36759e7daf"
  [large]="02903040e19ddf92 03b9306f44e9b895 03f583ec5018739f 0532c64c2fd0c4d3 08151b19806eebd5"
  [dense]="07fb37aafa662660 0b0d577159f0d6c2 0ea221716cf13710 175dbb364bfefc95"
  [other]="0402a81e75262469 20b20ab049372d18 20e209f6ffa120a7 c901794d1a421d52"
)
order=(small large dense other)

pages() {  # pages FOLDER NAME...: folders of links to images and labels
  local folder=$1
  shift
  link_pages "$folder/images" "${@/#/$data/images/}"
  link_pages "$folder/labels" "${@/#/$data/labels/}"
}

training=() tests=()
for kind in "${order[@]}"; do
  held_out=() i=0
  for name in ${kinds[$kind]}; do
    if ((++i % 3 == 0)); then held_out+=("$name.tif"); else training+=("$name.tif"); fi
  done
  pages "$out/$kind" "${held_out[@]}"
  tests+=("${held_out[@]}")
done
pages "$out/training" "${training[@]}"
pages "$out/all" "${tests[@]}"

say "Train on ${#training[@]} images, $steps steps"
train "$out/run" --images "$out/training/images" --labels "$out/training/labels" instances --val-fraction 0 \
  --preset tiny --steps "$steps" --set run.validation_interval="$steps" \
  --set weight_map.class_balance=none --set augmentation.gray_slope_min=0.5 --set augmentation.gray_slope_max=2 \
  --set instances.threshold=0.4 --set instances.min_area=15 --set instances.fill_holes=true \
  --set instances.split=0.8 --set instances.regrow=true

say "Segment the ${#tests[@]} held-out images"
collected=()
printf '%-8s %7s %8s %9s %9s\n' kind images nuclei SEG AP@0.5
for kind in "${order[@]}" all; do
  infer "$out/run" --input "$out/$kind/images" --output "$out/$kind/instances/" --write instances \
    --tta d4
  "$bin/unet_eval" --metric all --truth "$out/$kind/labels" --prediction "$out/$kind/instances" \
    --json "$out/$kind.json" --quiet >/dev/null
  printf '%-8s %7s %8s %9.4f %9.4f\n' "$kind" "$(ls "$out/$kind/images" | wc -l)" "$(score "$out/$kind.json" objects)" \
    "$(score "$out/$kind.json" seg)" "$(score "$out/$kind.json" ap_50)"
  collected+=("$kind=$out/$kind.json")
done
collect "$out/scores.json" "${collected[@]}"
echo "scores: $out/scores.json   model: $out/run/model.safetensors"
