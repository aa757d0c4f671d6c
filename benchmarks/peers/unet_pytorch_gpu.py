#!/usr/bin/env python3
"""Times the U-Net in PyTorch on a GPU: forward pass or training step, channels last; prints one JSON line.

Variants: `eager` launches every kernel; `compile` is torch.compile(mode="max-autotune"); `graph` replays a CUDA graph of the
whole forward pass or training step. bf16 is autocast, tf32 and f32 set what products of f32 may be made of. cuDNN tries
all its algorithms. `--network` takes input, labels and weights from a file of network_benchmark --export; `--losses N` trains
N steps of them without dropout and prints the losses. With --device cpu everything but `graph` runs on a machine without a
GPU, for tests.
"""

import argparse
import json
import time

import torch
import torch.nn.functional as F

import peer
from unet_pytorch import UNet

RATE = 1e-3  # learning rate of --losses; network_benchmark has the same
MOMENTUM = 0.99


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--variant", choices=("eager", "compile", "graph"), default="eager")
    parser.add_argument("--mode", choices=("forward", "train_step"), default="forward")
    parser.add_argument("--precision", choices=("f32", "tf32", "bf16"), default="bf16")
    parser.add_argument("--network", metavar="FILE", help="weights, input and labels; otherwise random ones")
    parser.add_argument("--width", type=int, default=64, help="channels of the first level, without --network")
    parser.add_argument("--size", type=int, default=572, help="side of the input tile in px, without --network")
    parser.add_argument("--seconds", type=float, default=10, help="time to measure for")
    parser.add_argument("--repeats", type=int, default=0, help="measured runs; 0: as many as fit")
    parser.add_argument("--losses", type=int, default=0, help="print the losses of so many steps, measure nothing")
    arguments = parser.parse_args()
    if arguments.device == "cpu" and arguments.variant == "graph":
        parser.error("--variant graph: expected --device cuda, for a CPU has no CUDA graphs")
    return arguments


def load(arguments):
    """Model, input [N,1,H,W] and labels [N,h,w] on the device."""
    dropout = arguments.losses == 0
    if arguments.network:
        tensors, metadata = peer.read_safetensors(arguments.network)
        model = UNet(int(metadata["width"]), int(metadata["depth"]), metadata["wiring"])
        model.load_state_dict({name: torch.from_numpy(peer.channels_first(name, value).copy())
                               for name, value in tensors.items() if name not in ("input", "labels")})
        x = torch.from_numpy(tensors["input"].transpose(0, 3, 1, 2).copy())
        labels = torch.from_numpy(tensors["labels"][..., 0].copy()).long()
    else:
        torch.manual_seed(0)
        model, side = UNet(arguments.width), arguments.size - 184
        x, labels = torch.rand(1, 1, arguments.size, arguments.size), torch.randint(0, 2, (1, side, side))
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout) and not dropout:
            module.p = 0.0
    device = torch.device(arguments.device)
    return (model.to(device, memory_format=torch.channels_last), x.to(device, memory_format=torch.channels_last),
            labels.to(device))


def set_precision(precision):
    tf32 = precision == "tf32"
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.allow_tf32 = tf32
    torch.backends.cudnn.benchmark = True
    if hasattr(torch.backends.cudnn, "benchmark_limit"):
        torch.backends.cudnn.benchmark_limit = 0  # all algorithms; ten by default


def make_run(arguments, model, x, labels):
    """A function that queues one forward pass and returns the scores, or one training step and returns the loss."""
    on_gpu = arguments.device == "cuda"
    forward = torch.compile(model, mode="max-autotune") if arguments.variant == "compile" else model
    autocast = lambda: torch.autocast(arguments.device, torch.bfloat16, enabled=arguments.precision == "bf16")
    if arguments.mode == "forward" and arguments.losses == 0:
        model.eval()

        def run():
            with torch.no_grad(), autocast():
                return forward(x)

        return run
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE if arguments.losses else 1e-6, momentum=MOMENTUM,
                                **({"fused": True} if on_gpu else {}))

    def run():
        optimizer.zero_grad(set_to_none=arguments.variant != "graph")
        with autocast():
            scores = forward(x)
        loss = F.cross_entropy(scores.float(), labels)
        loss.backward()
        optimizer.step()
        return loss

    return run


def captured(run):
    """The function's work as one CUDA graph."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            run()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    return graph.replay


def milliseconds(run, on_gpu):
    if not on_gpu:
        before = time.perf_counter()
        run()
        return 1e3 * (time.perf_counter() - before)
    start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    run()
    stop.record()
    stop.synchronize()
    return start.elapsed_time(stop)


def kernel_count(run):
    """Kernels that one run launches, as the profiler sees them."""
    from torch.profiler import ProfilerActivity, profile
    with profile(activities=[ProfilerActivity.CUDA]) as profiler:
        run()
        torch.cuda.synchronize()
    return sum(event.count for event in profiler.key_averages() if not event.key.startswith(("Memcpy", "Memset")))


def main():
    arguments = parse_arguments()
    on_gpu = arguments.device == "cuda"
    set_precision(arguments.precision)
    model, x, labels = load(arguments)
    run = make_run(arguments, model, x, labels)
    if arguments.losses:
        print(json.dumps({"engine": "pytorch", "losses": [float(run()) for _ in range(arguments.losses)]}))
        return
    if arguments.variant == "graph":
        run = captured(run)
    for _ in range(3):
        run()
    if on_gpu:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    times, begin = [], time.perf_counter()
    while len(times) < arguments.repeats if arguments.repeats else (
            len(times) < 3 or time.perf_counter() - begin < arguments.seconds):
        times.append(milliseconds(run, on_gpu))
    median = peer.percentile(times, 0.5)
    line = {"engine": "pytorch", "version": torch.__version__, "target": arguments.device, "variant": arguments.variant,
            "mode": arguments.mode, "batch": x.shape[0], "size": x.shape[2], "precision": arguments.precision,
            "ms": median, "ms_p10": peer.percentile(times, 0.1), "ms_p90": peer.percentile(times, 0.9), "n": len(times),
            "images_per_s": 1e3 * x.shape[0] / median}
    if on_gpu:
        line |= {"peak_mb": torch.cuda.max_memory_allocated() / 1e6, "reserved_mb": torch.cuda.max_memory_reserved() / 1e6,
                 "cudnn": torch.backends.cudnn.version(), "cuda": torch.version.cuda, "kernels_per_step": kernel_count(run)}
    print(json.dumps(line))


if __name__ == "__main__":
    main()
