#!/usr/bin/env python3
"""Writes the U-Net as an ONNX file, for the peers that read one. Weights are random unless parameters are given."""

import argparse
import pathlib
import subprocess
import sys
import tempfile

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper

import peer


def build(size, width=64, depth=4, wiring="paper", classes=2, parameters=None):
    """The network for an input [1,1,*size]: Ronneberger et al. 2015, figure 1, without dropout."""
    random = numpy.random.default_rng(0)
    nodes, initializers = [], []

    def constant(name, values):
        initializers.append(numpy_helper.from_array(values, name))
        return name

    def parameter(name, shape):
        if parameters is not None:
            return constant(name, parameters[name])
        return constant(name, (0.05 * random.standard_normal(shape)).astype(numpy.float32))

    def node(kind, inputs, **attributes):
        output = f"value.{len(nodes)}"
        nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def conv(name, x, inputs, outputs, side=3, relu=True):
        weight = parameter(name + ".weight", (outputs, inputs, side, side))
        x = node("Conv", [x, weight, parameter(name + ".bias", (outputs,))], kernel_shape=[side, side])
        return node("Relu", [x]) if relu else x

    x, sides, skips = "input", list(size), []
    channels = [width << level for level in range(depth + 1)]
    for level, (inputs, outputs) in enumerate(zip([1] + channels, channels[:-1])):
        x = conv(f"encoder.{level}.conv1", x, inputs, outputs)
        x = conv(f"encoder.{level}.conv2", x, outputs, outputs)
        sides = [side - 4 for side in sides]
        skips.append((x, sides))
        x = node("MaxPool", [x], kernel_shape=[2, 2], strides=[2, 2])
        sides = [side // 2 for side in sides]
    x = conv("bottom.conv1", x, channels[-2], channels[-1])
    x = conv("bottom.conv2", x, channels[-1], channels[-1])
    sides = [side - 4 for side in sides]
    for level in reversed(range(depth)):
        name, outputs = f"decoder.{level}", channels[level]
        up = 2 * width if wiring == "release" and level == 0 else outputs
        weight = parameter(name + ".up.weight", (channels[level + 1], up, 2, 2))
        bias = parameter(name + ".up.bias", (up,))
        x = node("ConvTranspose", [x, weight, bias], kernel_shape=[2, 2], strides=[2, 2])
        if wiring == "release":
            x = node("Relu", [x])
        sides = [2 * side for side in sides]
        skip, skip_sides = skips[level]
        starts = [(a - b) // 2 for a, b in zip(skip_sides, sides)]
        crop = [constant(f"{name}.crop.{part}", numpy.array(values, numpy.int64)) for part, values in
                (("starts", starts), ("ends", [a + b for a, b in zip(starts, sides)]), ("axes", [2, 3]))]
        x = node("Concat", [x, node("Slice", [skip, *crop])], axis=1)
        x = conv(name + ".conv1", x, up + outputs, outputs)
        x = conv(name + ".conv2", x, outputs, outputs)
        sides = [side - 4 for side in sides]
    x = conv("head", x, width, classes, side=1, relu=False)
    graph = helper.make_graph(
        nodes, "unet", [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 1, *size])],
        [helper.make_tensor_value_info(x, TensorProto.FLOAT, [1, classes, *sides])], initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def load(arguments):
    """Bytes of the network that a peer's command line asks for, its input, and the expected logits or None."""
    if arguments.check:
        shape, parameters, x, expected = peer.golden_network(arguments.check)
        return build(x.shape[2:], parameters=parameters, **shape).SerializeToString(), x, expected
    with tempfile.TemporaryDirectory() as folder:  # built by a child: its memory is not the peer's
        path = pathlib.Path(folder, "unet.onnx")
        subprocess.run([sys.executable, __file__, str(path), "--width", str(arguments.width), "--size",
                        str(arguments.size)], check=True)
        x = numpy.random.default_rng(1).random((1, 1, arguments.size, arguments.size), numpy.float32)
        return path.read_bytes(), x, None


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=pathlib.Path)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--size", type=int, default=572)
    arguments = parser.parse_args()
    arguments.path.write_bytes(build((arguments.size, arguments.size), arguments.width).SerializeToString())


if __name__ == "__main__":
    main()
