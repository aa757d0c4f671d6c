#!/usr/bin/env python3
"""Runs this project's network benchmark on a GPU beside PyTorch; writes one JSON document.

All engines take weights, input and labels from one file. First the losses of a few training steps are compared: engines that
do not compute the same are not timed beside each other. Then each case's contenders run interleaved, A B C C B A; a figure is
the median of a pass with its 10th and 90th percentile, and every pass is kept.

    run_gpu.py --unet build-cuda/benchmarks/network_benchmark --pytorch python3 --out network.json
"""

import argparse
import datetime
import json
import pathlib
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
SCHEMA = 1

# Largest relative difference of a loss from the reference's: f32 in another order of sums; rounded factors; rounded images.
# Differences grow from step to step; twice as large counts from the fifth step on.
LOSS_TOLERANCE = {"f32": 1e-4, "tf32": 5e-3, "bf16": 5e-2}


def run(command, timeout):
    """The JSON line that a command ends with, or {"error": ...}."""
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        return {"error": f"not finished within {timeout:.0f} s"}
    except OSError as error:
        return {"error": str(error)}
    lines = result.stdout.strip().splitlines()
    if result.returncode != 0 or not lines:
        return {"error": (result.stderr.strip().splitlines() or [f"exit status {result.returncode}"])[-1]}
    return json.loads(lines[-1])


def gpu_state():
    """Name, driver, clocks, power and temperature as nvidia-smi tells them; empty without it. Clocks are never set."""
    fields = ("name", "driver_version", "memory.total", "clocks.sm", "clocks.mem", "power.draw", "temperature.gpu")
    try:
        result = subprocess.run(["nvidia-smi", "--id=0", "--query-gpu=" + ",".join(fields), "--format=csv,noheader,nounits"],
                                capture_output=True, text=True)
    except OSError:
        return {}
    return dict(zip(fields, (value.strip() for value in result.stdout.split(",")))) if result.returncode == 0 else {}


def ratios(rows):
    """By case, the time of the fastest other engine over that of this project's cuda target, each its better pass."""
    best = {}
    for row in rows:
        case = best.setdefault(f"{row['mode']} {row['precision']}", {})
        case[row["name"]] = min(case.get(row["name"], row["ms"]), row["ms"])
    return {case: min(others) / times["unet cuda"] for case, times in best.items()
            if "unet cuda" in times and (others := [ms for name, ms in times.items() if name != "unet cuda"])}


def contenders(arguments, network):
    """Commands by name, without precision, mode and duration."""
    shape = ["--width", str(arguments.width), "--size", str(arguments.size)]
    commands = {f"unet {target}": [arguments.unet, "--target", target, *shape] for target in arguments.targets}
    if arguments.pytorch:
        for variant in arguments.variants:
            commands[f"PyTorch {variant}"] = [arguments.pytorch, str(HERE / "unet_pytorch_gpu.py"), "--device",
                                              arguments.device, "--variant", variant, "--network", str(network)]
    return commands


def compare_losses(arguments, commands, precision):
    """Losses of every engine, and what is wrong with them by engine. The reference is PyTorch if there, else the first."""
    plain = {name: command for name, command in commands.items() if name not in ("PyTorch compile", "PyTorch graph")}
    losses, failures = {}, {}
    for name, command in plain.items():
        if name == "unet cpu" and precision == "tf32":
            continue
        result = run([*command, "--precision", precision, "--losses", str(arguments.losses)], arguments.timeout)
        if "error" in result:
            failures[name] = f"losses {precision} {name}: {result['error']}"
        else:
            losses[name] = result["losses"]
    reference = next((name for name in ("PyTorch eager", "unet cpu") if name in losses), next(iter(losses), None))
    for name, values in losses.items():
        for step, (value, expected) in enumerate(zip(values, losses[reference])):
            tolerance = LOSS_TOLERANCE[precision] * (1 if step < 5 else 2)
            if not abs(value - expected) <= tolerance * abs(expected):
                failures[name] = (f"losses {precision} {name}: step {step}: expected {expected:.6g} within "
                                  f"{tolerance:.0e} ({reference}), got {value:.6g}")
                break
    return {"precision": precision, "reference": reference, "losses": losses}, failures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--unet", required=True, metavar="PROGRAM", help="this project's network_benchmark")
    parser.add_argument("--pytorch", metavar="PYTHON", help="an interpreter with PyTorch; none: only this project")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="PyTorch's; cpu is for tests")
    parser.add_argument("--targets", nargs="+", default=["cuda", "cudnn"], help="this project's")
    parser.add_argument("--variants", nargs="+", default=["eager", "graph", "compile"], help="PyTorch's")
    parser.add_argument("--precisions", nargs="+", default=["bf16", "tf32", "f32"])
    parser.add_argument("--modes", nargs="+", default=["forward", "train_step"])
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--size", type=int, default=572)
    parser.add_argument("--passes", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=200, help="measured runs of a pass")
    parser.add_argument("--losses", type=int, default=5, help="training steps whose losses are compared")
    parser.add_argument("--timeout", type=float, default=900, help="seconds a program may take")
    parser.add_argument("--budget", type=float, default=0, help="seconds after which nothing new is begun; 0: no limit")
    parser.add_argument("--commit", default="unknown", help="recorded in the document")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="where the JSON document goes")
    arguments = parser.parse_args()

    begin = time.monotonic()
    document = {"schema": SCHEMA, "git": arguments.commit,
                "utc": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "command": " ".join(sys.argv), "config": {"batch": 1, "width": arguments.width, "size": arguments.size},
                "gpu": {"before": gpu_state()}, "losses": [], "network": [], "not_begun": [], "failures": []}

    def spent(what):
        if arguments.budget and time.monotonic() - begin > arguments.budget:
            document["not_begun"].append(what)
            return True
        return False

    def save():
        arguments.out.write_text(json.dumps(document, indent=1) + "\n")

    with tempfile.TemporaryDirectory() as folder:
        network = pathlib.Path(folder, "network.safetensors")
        subprocess.run([arguments.unet, "--export", str(network), "--width", str(arguments.width), "--size",
                        str(arguments.size)], check=True)
        commands = contenders(arguments, network)
        wrong = {}
        for precision in arguments.precisions:
            if spent(f"losses {precision}"):
                continue
            losses, failures = compare_losses(arguments, commands, precision)
            document["losses"].append(losses)
            document["failures"] += failures.values()
            wrong[precision] = set(failures)
            save()
        for precision in arguments.precisions:
            for mode in arguments.modes:
                failed = set(wrong.get(precision, ()))
                for index in range(arguments.passes):
                    for name in list(commands) if index % 2 == 0 else reversed(commands):
                        if name in failed or spent(f"{mode} {precision} {name}"):
                            continue
                        row = run([*commands[name], "--mode", mode, "--precision", precision, "--repeats",
                                   str(arguments.repeats)], arguments.timeout)
                        if "error" in row:
                            failed.add(name)
                            document["failures"].append(f"{mode} {precision} {name}: {row['error']}")
                        else:
                            us = {f"us_{part}": 1e3 * row["ms" if part == "median" else f"ms_{part}"]
                                  for part in ("median", "p10", "p90")}
                            document["network"].append({"name": name, "pass": index} | row | us)
                        print(mode, precision, name, row.get("ms", row.get("error")), file=sys.stderr, flush=True)
                        save()
    document["gpu"]["after"] = gpu_state()
    document["ratio_vs_best_baseline"] = ratios(document["network"])
    save()
    if document["failures"]:
        raise SystemExit("run_gpu.py: " + "; ".join(document["failures"]))


if __name__ == "__main__":
    main()
