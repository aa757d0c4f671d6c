#!/usr/bin/env python3
"""Times the U-Net's forward pass in OpenVINO on the CPU, batch 1."""

import openvino

import peer
import unet_onnx


def main():
    arguments = peer.parse_arguments(__doc__)
    network, x, expected = unet_onnx.load(arguments)
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(network), "CPU", {
        "PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": arguments.threads,
        "INFERENCE_PRECISION_HINT": arguments.precision})
    del network
    request = compiled.create_infer_request()

    def run():
        return request.infer({0: x}, share_inputs=True, share_outputs=True)[0]

    if expected is not None:
        peer.check(run(), expected, arguments.precision)
        return
    if compiled.get_property("INFERENCE_PRECISION_HINT").to_string() != arguments.precision:
        raise SystemExit(f"--precision {arguments.precision}: this processor has no such instructions for OpenVINO")
    peer.measure(run, arguments, "openvino", openvino.__version__.split("-")[0])


if __name__ == "__main__":
    main()
