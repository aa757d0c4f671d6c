#!/usr/bin/env python3
"""One training sample with SciPy: the same random numbers, the same sample, as augment_benchmark's; compare the sums.

What people write: the displacement of every pixel as an array, then scipy.ndimage.map_coordinates for image, labels and
weights. Prints one JSON line with processor time. Needs NumPy and SciPy.
"""

import argparse
import json
import time

import numpy
from scipy import ndimage, special

POSITION, ROTATION, ELASTIC, GRAY = 0x100, 0x101, 0x103, 0x104  # purposes of unet/random.h


class RandomStream:
    """unet/random.h: the words of Philox4x32-10 in order."""

    def __init__(self, seed, purpose, step):
        self.key, self.purpose, self.step, self.next = seed, purpose, step, 0

    def word(self):
        counter = [self.next // 4, 0, self.purpose, self.step]
        key = [self.key & 0xFFFFFFFF, self.key >> 32]
        for _ in range(10):
            a, b = 0xD2511F53 * counter[0], 0xCD9E8D57 * counter[2]
            counter = [(b >> 32) ^ counter[1] ^ key[0], b & 0xFFFFFFFF, (a >> 32) ^ counter[3] ^ key[1], a & 0xFFFFFFFF]
            key = [(key[0] + 0x9E3779B9) & 0xFFFFFFFF, (key[1] + 0xBB67AE85) & 0xFFFFFFFF]
        self.next += 1
        return counter[(self.next - 1) % 4]

    def uniform(self, low, high):
        return low + (high - low) * self.word() / 2**32

    def below(self, count):
        return (self.word() * count) >> 32

    def normal(self):
        radius = numpy.sqrt(-2 * numpy.log((self.word() + 1) / 2**32))
        return radius * numpy.cos(2 * numpy.pi * self.word() / 2**32)


def cubic_weights(length):
    """Catmull-Rom weights of three nodes at 0, (length-1)/2 and length-1, with linearly continued ends: [length, 3]."""
    nodes = numpy.eye(3)
    nodes = numpy.vstack([2 * nodes[0] - nodes[1], nodes, 2 * nodes[2] - nodes[1]])
    place = numpy.arange(length) / ((length - 1) / 2)
    segment = numpy.minimum(place.astype(int), 1)
    t = (place - segment)[:, None]
    a, b, c, d = (nodes[segment + m] for m in range(4))
    return b + t * ((c - a) / 2 + t * ((2 * a - 5 * b + 4 * c - d) / 2 + t * (3 * b - a - 3 * c + d) / 2))


def gray_table(random):
    """256 values of the random gray-value curve."""
    g = [random.uniform(-0.05, 0.05), 0, 0, 0, random.uniform(0.95, 1.05)]

    def between(left, right, dx):
        return random.uniform(max(left + 0.8 * dx, right - 1.2 * dx), min(left + 1.2 * dx, right - 0.8 * dx))

    g[2] = between(g[0], g[4], 0.5)
    g[1] = between(g[0], g[2], 0.25)
    g[3] = between(g[2], g[4], 0.25)
    x = numpy.linspace(0, 1, 256)
    slopes = numpy.diff(g) * 4
    table = g[0] + slopes[0] * x
    for k in (1, 2, 3):
        z = (x - k / 4) / 0.0625
        ramp = 0.0625 * (z * special.ndtr(z) + numpy.exp(-0.5 * z * z) / numpy.sqrt(2 * numpy.pi))
        table += (slopes[k] - slopes[k - 1]) * ramp
    return table


def sample(page, labels, weights, seed, index, tile, weights_y):
    position = RandomStream(seed, POSITION, index)
    position.below(1)  # which page
    half = (tile - 1) / 2
    centre = []
    for length in page.shape:
        at = position.below(length)
        centre.append(at + numpy.floor(position.uniform(-8, 8) + 0.5) - numpy.floor(half) + half)
    angle = RandomStream(seed, ROTATION, index).uniform(0, 2 * numpy.pi)
    elastic = RandomStream(seed, ELASTIC, index)
    nodes = numpy.array([10 * elastic.normal() for _ in range(18)]).reshape(3, 3, 2)
    table = gray_table(RandomStream(seed, GRAY, index))

    offset = numpy.arange(tile) - half
    y = offset[:, None] + weights_y @ nodes[..., 0] @ weights_y.T
    x = offset[None, :] + weights_y @ nodes[..., 1] @ weights_y.T
    place = numpy.stack([centre[0] + numpy.cos(angle) * y + numpy.sin(angle) * x,
                         centre[1] - numpy.sin(angle) * y + numpy.cos(angle) * x])
    image = ndimage.map_coordinates(page, place, order=1, mode="mirror")
    image = numpy.interp(image, numpy.linspace(0, 1, 256), table)
    crop = place[:, 92:-92, 92:-92]
    return (image, ndimage.map_coordinates(labels, numpy.floor(crop + 0.5), order=0, mode="mirror"),
            ndimage.map_coordinates(weights, crop, order=1, mode="mirror"))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tile", type=int, default=572, help="side of the input tile, px")
    parser.add_argument("--seconds", type=float, default=5)
    arguments = parser.parse_args()

    y, x = numpy.mgrid[0:512, 0:512]
    value = 0.5 + 0.25 * numpy.sin(y / 7) + 0.25 * numpy.cos(x / 11)
    page, labels, weights = (a.astype(t) for a, t in (
        (value, numpy.float32), (value > 0.5, numpy.int32), (1 + 10 * value * value, numpy.float32)))
    weights_y = cubic_weights(arguments.tile)

    def run(index):
        return sample(page, labels, weights, 1, index, arguments.tile, weights_y)

    image, label, weight = run(0)
    times = []
    start = time.process_time()
    while len(times) < 3 or time.process_time() - start < arguments.seconds:
        before = time.process_time()
        run(len(times))
        times.append(1000 * (time.process_time() - before))
    print(json.dumps({"what": "sample", "engine": "scipy", "elastic": "grid3", "tile": arguments.tile,
                      "ms": round(float(numpy.median(times)), 3), "ms_min": round(min(times), 3), "n": len(times),
                      "image_sum": round(float(image.sum(dtype=float)), 3), "label_sum": int(label.sum()),
                      "weight_sum": round(float(weight.sum(dtype=float)), 3)}))


if __name__ == "__main__":
    main()
