#!/usr/bin/env python3
"""Runs this project's network benchmark and its peers side by side; writes one JSON document, prints one table.

Contenders of a case run interleaved, A B C C B A, so that a machine's drift meets all of them alike. A contender's
figure is its pass with the smallest median: the one that other programs disturbed least. Every pass is kept.

    run_all.py --unet build/benchmarks/network_benchmark --pytorch python3 --onnx venv/bin/python --out results.json
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent


def output_of(*command):
    result = subprocess.run(command, capture_output=True, text=True, cwd=HERE)
    return result.stdout.strip() if result.returncode == 0 else ""


def machine():
    """What the figures depend on besides the programs."""
    cpuinfo = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    cpu = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in cpuinfo)}
    pages = pathlib.Path("/sys/kernel/mm/transparent_hugepage/enabled")
    return {"cpu": cpu.get("model name"), "family": cpu.get("cpu family"), "model": cpu.get("model"),
            "cores": os.cpu_count(), "memory_mb": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20,
            "kernel": platform.release(), "transparent_hugepage": pages.read_text().strip() if pages.exists() else "",
            "avx512_bf16": "avx512_bf16" in cpu.get("flags", "")}


def contenders(arguments, mode, precision):
    """Commands by name, without the options that all share."""
    commands = {}
    if arguments.unet:
        for convolution in ("fast", "direct"):
            commands[f"unet {convolution}"] = [arguments.unet, "--convolution", convolution]
    for python in arguments.pytorch:
        version = output_of(python, "-c", "import torch; print(torch.__version__)")
        if not version:
            raise SystemExit(f"--pytorch {python}: expected an interpreter that imports torch")
        name = f"PyTorch {version.split('+')[0]}"
        program = [python, str(HERE / "unet_pytorch.py"), "--variant"]
        for variant in ("plain", "channels_last") if version.startswith("1.") else ("channels_last", "compile"):
            commands[f"{name} {variant}"] = [*program, variant]
        commands[f"{name} channels_last, tuned"] = [str(HERE / "tuned.sh"), *program, "channels_last"]
    if arguments.onnx and mode == "forward":
        if precision == "f32":
            commands["ONNX Runtime"] = [arguments.onnx, str(HERE / "unet_onnxruntime.py")]
        commands["OpenVINO"] = [arguments.onnx, str(HERE / "unet_openvino.py")]
    return commands


def run_once(command, options):
    """The JSON line of one run, with the machine's load before it; {"error": ...} where it fails."""
    load = os.getloadavg()[0]
    result = subprocess.run([*command, *options], capture_output=True, text=True)
    if result.returncode != 0:
        return {"error": (result.stderr.strip().splitlines() or [f"exit status {result.returncode}"])[-1]}
    return json.loads(result.stdout.strip().splitlines()[-1]) | {"load_before": load}


def run_case(arguments, mode, width, size, precision):
    commands = contenders(arguments, mode, precision)
    options = ["--mode", mode, "--width", str(width), "--size", str(size), "--precision", precision,
               "--threads", str(arguments.threads), "--seconds", str(arguments.seconds)]
    passes = {name: [] for name in commands}
    for index in range(arguments.passes):
        for name in list(commands) if index % 2 == 0 else reversed(commands):
            passes[name].append(run_once(commands[name], options))
            print(mode, f"{width}/{size}", precision, name, passes[name][-1].get("ms", "failed"), file=sys.stderr)
    rows = []
    for name, runs in passes.items():
        good = [run for run in runs if "error" not in run]
        best = min(good, key=lambda run: run["ms"]) if good else runs[0]
        rows.append({"name": name, "best": best, "passes": runs})
    return {"mode": mode, "width": width, "size": size, "precision": precision, "contenders": rows}


def table(case):
    """Markdown, fastest first; ratios are to the project's own first line, or to the fastest without one."""
    done = sorted((row for row in case["contenders"] if "ms" in row["best"]), key=lambda row: row["best"]["ms"])
    lines = [f"### {case['mode']}, width {case['width']}, {case['size']}x{case['size']}, {case['precision']}", ""]
    if done:
        base = next((row for row in case["contenders"] if row["name"].startswith("unet") and row in done), done[0])
        lines += [f"| | ms | p10 to p90 | RSS, MB | times {base['name']} |", "|---|--:|--:|--:|--:|"]
    for row in done:
        best = row["best"]
        lines.append(f"| {row['name']} | {best['ms']:.4g} | {best['ms_p10']:.4g} to {best['ms_p90']:.4g} "
                     f"| {best['peak_rss_mb']:.0f} | {best['ms'] / base['best']['ms']:.2f} |")
    failed = [row for row in case["contenders"] if "ms" not in row["best"]]
    return "\n".join(lines + [f"\n{row['name']} failed: {row['best']['error']}" for row in failed]) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--unet", metavar="PROGRAM", help="this project's network_benchmark")
    parser.add_argument("--pytorch", metavar="PYTHON", action="append", default=[], help="an interpreter with PyTorch")
    parser.add_argument("--onnx", metavar="PYTHON", help="an interpreter with onnx, onnxruntime and openvino")
    parser.add_argument("--shapes", nargs="+", default=["64/572", "16/188"], metavar="WIDTH/SIZE")
    parser.add_argument("--modes", nargs="+", default=["forward", "train_step"])
    parser.add_argument("--precisions", nargs="+", default=["f32", "bf16"])
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--seconds", type=float, default=5, help="per contender and pass")
    parser.add_argument("--passes", type=int, default=2)
    parser.add_argument("--out", type=pathlib.Path, help="where the JSON document goes")
    arguments = parser.parse_args()

    cases = []
    for shape in arguments.shapes:
        width, size = map(int, shape.split("/"))
        for mode in arguments.modes:
            for precision in arguments.precisions:
                cases.append(run_case(arguments, mode, width, size, precision))
                print(table(cases[-1]), flush=True)
    document = {"date": datetime.date.today().isoformat(), "commit": output_of("git", "describe", "--always", "--dirty"),
                "machine": machine(), "seconds": arguments.seconds, "passes": arguments.passes, "cases": cases}
    if arguments.out:
        arguments.out.write_text(json.dumps(document, indent=1) + "\n")
    if any("error" in run for case in cases for row in case["contenders"] for run in row["passes"]):
        raise SystemExit("run_all.py: a contender failed, see the tables")


if __name__ == "__main__":
    main()
