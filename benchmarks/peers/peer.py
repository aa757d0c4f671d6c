"""What all peers share: command line, golden check, measurement and the JSON line. Needs NumPy alone."""

import argparse
import json
import os
import resource
import struct
import time

import numpy


def parse_arguments(description, precisions=("f32", "bf16"), modes=("forward",), variants=()):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--mode", choices=modes, default="forward")
    parser.add_argument("--precision", choices=precisions, default="f32")
    if variants:
        parser.add_argument("--variant", choices=variants, default=variants[0])
    parser.add_argument("--width", type=int, default=64, help="channels of the first level")
    parser.add_argument("--size", type=int, default=572, help="side of the input tile, px")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--seconds", type=float, default=10, help="time to measure for, after two warm-up runs")
    parser.add_argument("--check", metavar="FILE", help="compare logits with a golden file, measure nothing")
    return parser.parse_args()


def read_safetensors(path):
    """Tensors and metadata of a safetensors file."""
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = file.read()
    metadata = header.pop("__metadata__", {})
    types = {"F32": "<f4", "I32": "<i4"}
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        tensors[name] = numpy.frombuffer(data[begin:end], types[entry["dtype"]]).reshape(entry["shape"])
    return tensors, metadata


def channels_first(name, weight):
    """[K,R,S,C] to [K,C,R,S], or to [C,K,2,2] for an up-convolution; biases [K] stay."""
    if name.endswith("up.weight"):
        return numpy.ascontiguousarray(weight.transpose(3, 0, 1, 2))
    return numpy.ascontiguousarray(weight.transpose(0, 3, 1, 2)) if weight.ndim == 4 else weight


def golden_network(path):
    """Arguments of a network and its parameters, channels first, from a golden file."""
    tensors, metadata = read_safetensors(path)
    parameters = {name: channels_first(name, t) for name, t in tensors.items()
                  if name.split(".")[0] in ("encoder", "bottom", "decoder", "head")}
    shape = {"width": int(metadata["width"]), "depth": int(metadata["depth"]), "wiring": metadata["wiring"]}
    return shape, parameters, tensors["input"].transpose(0, 3, 1, 2).copy(), tensors["logits"].transpose(0, 3, 1, 2)


def check(logits, expected, precision):
    """Raises where a peer computes another network; bf16 keeps 8 bits of a product through some 20 layers."""
    tolerance = {"f32": 1e-4, "bf16": 0.1}[precision] * abs(expected).max()
    error = abs(numpy.asarray(logits, numpy.float32) - expected).max()
    if not error <= tolerance:
        raise ValueError(f"golden check: expected logits within {tolerance:.1e}, got an error of {error:.1e}")
    print(json.dumps({"check": "passed", "precision": precision, "largest_error": float(error)}))


def percentile(values, p):
    return sorted(values)[int(p * (len(values) - 1) + 0.5)]


def measure(run, arguments, engine, version):
    """Runs twice to warm up, then for the given time and at least three times; prints one JSON line."""
    run()
    run()
    times = []
    start = time.perf_counter()
    while len(times) < 3 or time.perf_counter() - start < arguments.seconds:
        before = time.perf_counter()
        run()
        times.append(1e3 * (time.perf_counter() - before))
    preload = os.environ.get("LD_PRELOAD", "")
    print(json.dumps({
        "engine": engine, "version": version, "variant": getattr(arguments, "variant", ""),
        "allocator": next((name for name in ("jemalloc", "tcmalloc") if name in preload), "glibc"),
        "mode": arguments.mode, "width": arguments.width, "size": arguments.size, "precision": arguments.precision,
        "threads": arguments.threads, "ms": round(percentile(times, 0.5), 3), "ms_p10": round(percentile(times, 0.1), 3),
        "ms_p90": round(percentile(times, 0.9), 3), "n": len(times),
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}))
