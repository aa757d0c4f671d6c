#!/usr/bin/env bash
# From nothing to a segmented image: installs what is missing, builds, makes data, trains for about two minutes, segments
# an image larger than any tile, and scores the result.
# Usage: demo.sh [FOLDER]   results go to FOLDER (default: run-demo; what an earlier demo left there is replaced)
#   UNET_DEMO_TIME  time to train for [140s]
set -euo pipefail
cd "$(dirname "$0")/.."
if [[ ${1:-} == -* ]]; then
  sed -n '2,5s/^# //p' tools/demo.sh
  [[ $1 == -h || $1 == --help ]] && exit
  exit 2
fi
folder=${1:-run-demo}
train_time=${UNET_DEMO_TIME:-140s}  # of training

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

say "1/6  Packages"
tools/install_dependencies.sh
command -v ninja >/dev/null && export CMAKE_GENERATOR=${CMAKE_GENERATOR:-Ninja}

say "2/6  Build"
cuda=OFF  # with a GPU and a compiler for it, the programs use it
command -v nvcc >/dev/null && nvidia-smi -L >/dev/null 2>&1 && cuda=ON
cmake --preset cpu -DUNET_CUDA=$cuda
cmake --build --preset cpu --parallel "$(nproc)"
bin=build/tools

say "3/6  Made-up electron micrographs: 12 pages to learn from, one large page to segment"
if [[ -e $folder && ! -e $folder/.demo ]]; then
  echo "$folder exists and was not made by this demo; give another folder" >&2
  exit 2
fi
rm -rf "$folder"
mkdir -p "$folder"
touch "$folder/.demo"
$bin/make_synthetic_data --kind membranes --pages 12 --height 384 --width 384 --seed 1 \
  --images "$folder/train.tif" --labels "$folder/train_labels.tif"
$bin/make_synthetic_data --kind membranes --pages 1 --height 2000 --width 2400 --seed 2 \
  --images "$folder/new.tif" --labels "$folder/new_truth.tif"

say "4/6  Train for $train_time"
$bin/unet_train --images "$folder/train.tif" --labels "$folder/train_labels.tif" --preset tiny \
  --time-limit "$train_time" --out "$folder/run"

say "5/6  Segment the large page by tiles, in 512 MiB of memory"
$bin/unet_infer --model "$folder/run/model.safetensors" --input "$folder/new.tif" --output "$folder/result" --max-memory 512MiB \
  --write probability,instances,overlay,objects

say "6/6  Compare with the truth"
$bin/unet_eval --metric all --truth "$folder/new_truth.tif" --prediction "$folder/result/new_probability.tif" \
  --json "$folder/scores.json"

say "Done. Look at"
echo "  $folder/run/report.html               curves, validation pages, weight map, samples"
echo "  $folder/result/new_overlay.png        the segmented page"
echo "  $folder/result/new_probability.tif    probability of cell; new_instances.tif: one number a cell; new_objects.csv"
