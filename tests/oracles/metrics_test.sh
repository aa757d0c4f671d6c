#!/usr/bin/env bash
# unet_eval against scikit-image. Usage: metrics_test.sh UNET_EVAL   UNET_PYTHON: an interpreter that has scikit-image
set -euo pipefail
export OMP_NUM_THREADS=1

for python in "${UNET_PYTHON:-python3}" /usr/bin/python3; do
  if "$python" -c 'import skimage, tifffile' 2>/dev/null; then
    exec "$python" "$(dirname "$0")/metrics_test.py" "$1"
  fi
done
echo "skipped: no scikit-image; set UNET_PYTHON to a python that has it" >&2
exit 77
