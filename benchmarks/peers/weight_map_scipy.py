#!/usr/bin/env python3
"""A page's weight map with SciPy: one Euclidean distance transform per instance, then the two smallest.

The recipe that most U-Net code carries, on the pages of augment_benchmark; compare the sums. Prints one JSON line per page
with processor time. Needs NumPy and SciPy.
"""

import argparse
import json
import time

import numpy
from scipy import ndimage


def discs(side, count):
    """count x count discs that nearly touch, numbered by rows."""
    period = side / count
    y, x = numpy.mgrid[0:side, 0:side]
    row, column = (y / period).astype(int), (x / period).astype(int)
    inside = (y - (row + 0.5) * period) ** 2 + (x - (column + 0.5) * period) ** 2 < 0.23 * period * period
    return numpy.where(inside, 1 + row * count + column, 0).astype(numpy.int32)


def weight_map(instances, w0=10, sigma=5):
    """Class weights of 1 and the border term on the background; the discs do not touch, so that nothing is carved."""
    ids = numpy.unique(instances)
    distances = numpy.stack([ndimage.distance_transform_edt(instances != i) for i in ids[ids > 0]])
    distances.partition(1, axis=0)
    border = w0 * numpy.exp(-(distances[0] + distances[1]) ** 2 / (2 * sigma**2))
    return 1 + numpy.where(instances == 0, border, 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=1024, help="px")
    parser.add_argument("--repeats", type=int, default=1)
    arguments = parser.parse_args()
    for count in (3, 7, 14):
        instances = discs(arguments.side, count)
        times = []
        for _ in range(arguments.repeats):
            before = time.process_time()
            weights = weight_map(instances)
            times.append(1000 * (time.process_time() - before))
        print(json.dumps({"what": "weight_map", "engine": "scipy", "side": arguments.side, "instances": count**2,
                          "ms": round(float(numpy.median(times)), 3), "ms_min": round(min(times), 3), "n": len(times),
                          "weight_sum": round(float(weights.sum()), 3)}))


if __name__ == "__main__":
    main()
