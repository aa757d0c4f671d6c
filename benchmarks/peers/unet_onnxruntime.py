#!/usr/bin/env python3
"""Times the U-Net's forward pass in ONNX Runtime on the CPU, batch 1. Its CPU provider convolves in f32 only."""

import onnxruntime

import peer
import unet_onnx


def main():
    arguments = peer.parse_arguments(__doc__, precisions=("f32",))
    network, x, expected = unet_onnx.load(arguments)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = arguments.threads
    session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
    del network

    def run():
        return session.run(None, {"input": x})[0]

    if expected is not None:
        peer.check(run(), expected, arguments.precision)
        return
    peer.measure(run, arguments, "onnxruntime", onnxruntime.__version__)


if __name__ == "__main__":
    main()
