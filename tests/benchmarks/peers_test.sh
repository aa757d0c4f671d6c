#!/usr/bin/env bash
# benchmarks/peers/run_gpu.py and benchmarks/report.py on the CPU, at a tiny size: the same losses from PyTorch, rows for
# every contender, a report with tables and a chart; and an engine that computes something else is noticed.
# Usage: peers_test.sh FOLDER   FOLDER holds network_benchmark
set -euo pipefail
export OMP_NUM_THREADS=1

folder=$1
benchmarks=$(cd "$(dirname "$0")/../.." && pwd)/benchmarks
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

python=''
for candidate in python3 /usr/bin/python3; do
  [[ -z $python ]] && "$candidate" -c 'import torch, numpy' 2>/dev/null && python=$candidate
done
[[ -n $python ]] || { echo "skipped: python3 has no torch" >&2; exit 77; }

compare() {  # PROGRAM: exit status of a comparison with PyTorch
  "$benchmarks/peers/run_gpu.py" --unet "$1" --pytorch "$python" --device cpu --targets cpu --variants eager --precisions f32 \
    --modes train_step --width 4 --size 188 --repeats 3 --losses 3 --passes 1 --out "$scratch/network.json" >"$scratch/log" 2>&1
}
compare "$folder/network_benchmark" || { cat "$scratch/log"; exit 1; }

# What gpu_op_benchmark writes, with times of another making.
python3 - "$scratch/ops.json" <<'PYTHON'
import json, sys
rows = [dict(name=f"layer {i}", op=op, precision="bf16", engine=engine, cache="cold", flop=10.0**(8 + i), min_bytes=10**7,
             floor_us=5.0, us_median=20.0 + i + (engine == "cudnn"), tflops=10.0**(2 + i) / (20 + i) * 1e-2, rel_err=1e-3,
             correct=i < 2)
        for i in range(3) for op in ("forward", "backward_data", "backward_filter") for engine in ("cuda", "cudnn")]
json.dump({"schema": 1, "git": "none", "utc": "now", "command": "none", "device": {"name": "stand-in"}, "clocks": {},
           "ceilings": {"copy_TBps": 4.0, "bf16_TFLOPs": 700.0}, "layers": rows, "not_begun": ["layer 9 bf16"],
           "failures": ["layer 2: wrong"]}, open(sys.argv[1], "w"))
PYTHON
"$benchmarks/report.py" --ops "$scratch/ops.json" --network "$scratch/network.json" --out "$scratch/report" 2>"$scratch/log"
for text in '| PyTorch eager |' '| unet cpu |' '## Losses, f32' '| layer 1 | backward_filter |' '\*\*wrong\*\*' 'layer 9 bf16'; do
  grep -q "$text" "$scratch/report/report.md" || { echo "FAILED: no '$text' in the report"; cat "$scratch/report/report.md"; exit 1; }
done
python3 -c 'import sys, xml.dom.minidom
marks = xml.dom.minidom.parse(sys.argv[1]).getElementsByTagName("title")
assert len(marks) == 18, f"expected a mark for each of 18 rows, got {len(marks)}"' "$scratch/report/roofline-bf16.svg"

# Planted: one engine whose losses are not those of the same network.
cat >"$scratch/other" <<END
#!/bin/sh
case "\$*" in *--losses*) echo '{"losses": [1.0, 0.5, 0.4]}' ;; *) exec "$folder/network_benchmark" "\$@" ;; esac
END
chmod +x "$scratch/other"
if compare "$scratch/other"; then
  echo "FAILED: other losses pass"
  exit 1
fi
grep -q 'losses f32 unet cpu: step 0' "$scratch/log" && ! grep -q '^train_step f32 unet cpu' "$scratch/log" || { cat "$scratch/log"; exit 1; }
echo "all as expected"
