"""unet_eval against scikit-image, and against plain definitions where scikit-image has no such score.

Usage: metrics_test.py UNET_EVAL [STACKS]   each stack has five pages; 200 stacks by default

Rand error: adapted_rand_error; V_rand: contingency_table; V_info: variation_of_information; in all of them each pixel
without predicted segment is a segment of its own. Warping error, thinning, SEG, objects, IoU and Dice: written out below; basins
that thinning grows are compared with segmentation.watershed.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import tifffile
from scipy import ndimage
from scipy.optimize import linear_sum_assignment
from skimage.measure import label
from skimage.metrics import adapted_rand_error, contingency_table, variation_of_information
from skimage.segmentation import watershed

PAGES = 5
RING = [(-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1)]  # (y, x), clockwise
THRESHOLDS = np.concatenate([[0.0], np.cumsum(np.full(10, 0.1))])


def segments(cells):
    return label(cells, connectivity=1, background=0)


def simple(patch):
    """Whether the middle of 3x3 pixels is simple, cells being 4-connected and membrane 8-connected."""
    ring = patch.copy()
    ring[1, 1] = 0
    cells = label(ring, connectivity=1, background=0)
    beside = {cells[1 + y, 1 + x] for y, x in RING[::2]} - {0}
    ground = 1 - patch
    ground[1, 1] = 0
    return len(beside) == 1 and label(ground, connectivity=2, background=0).max() == 1


WEIGHTS = 1 << np.arange(9).reshape(3, 3)
SIMPLE = [simple((bits >> np.arange(9).reshape(3, 3)) & 1) for bits in range(512)]


def around(ids, y, x):
    height, width = ids.shape
    return {int(ids[y + dy, x + dx]) for dy, dx in RING if 0 <= y + dy < height and 0 <= x + dx < width}


def splits_and_merges(truth, probability, threshold):
    """Splits and merges, and all mistakes. The window of 20 pixels matters on large pages only."""
    target = np.pad(probability > threshold, 1).astype(int)
    cells = np.pad(truth > 0, 1).astype(int)
    sureness = np.pad(np.abs(probability.astype(float) - threshold).astype(np.float32), 1)
    left = None
    while True:
        xs, ys = np.nonzero((cells != target).T)  # column by column
        if left == len(xs):
            break
        left = len(xs)
        for i in np.argsort(-sureness[ys, xs], kind="stable"):
            y, x = ys[i], xs[i]
            if SIMPLE[int((cells[y - 1:y + 2, x - 1:x + 2] * WEIGHTS).sum())]:
                cells[y, x] ^= 1
    cells, target = cells[1:-1, 1:-1], target[1:-1, 1:-1]
    ids = segments(cells)
    height, width = ids.shape
    count = 0
    for y, x in np.argwhere(cells != target):
        seen = around(ids, y, x)
        if len(seen) == 2 and cells[y, x]:
            if height < 20 or width < 20:
                window, cy, cx = cells.copy(), y, x
            else:
                window, cy, cx = np.pad(cells, 20)[y:y + 41, x:x + 41].copy(), 20, 20
            window[cy, cx] = 0
            count += len(around(segments(window), cy, cx)) > 2
        else:
            count += len(seen) > 2
    return count, (cells != target).sum()


def thinned(basins):
    """Vincent and Soille's flooding of all other pixels, as the challenge orders it."""
    if not basins.any():
        return np.ones_like(basins)
    dam, dry, queued = 0, -1, -2
    ids = np.pad(np.where(basins > 0, basins, dry), 1, constant_values=-9).T.tolist()  # [x][y]
    queue = []
    steps = [(-1, 0), (0, -1), (1, 0), (0, 1)]  # (x, y)
    for x, column in enumerate(ids):
        for y, value in enumerate(column):
            if value == dry and any(ids[x + dx][y + dy] > 0 for dx, dy in steps):
                ids[x][y] = queued
                queue.append((x, y))
    for x, y in queue:
        flag = False
        for dx, dy in steps:
            other, own = ids[x + dx][y + dy], ids[x][y]
            if other > 0:
                if own == queued or own == dam and flag:
                    ids[x][y] = other
                elif own > 0 and own != other:
                    ids[x][y], flag = dam, False
            elif other == dam and own == queued:
                ids[x][y], flag = dam, True
            elif other == dry:
                ids[x + dx][y + dy] = queued
                queue.append((x + dx, y + dy))
    return np.array(ids).T[1:-1, 1:-1]


agreement = np.zeros(2, int)  # pixels that thinning and scikit-image's watershed give to the same basin, and all


def check_thinned(basins, result):
    """Basins grow in one piece, and none is lost. Where fronts meet, scikit-image decides by other rules."""
    for i in np.unique(basins[basins > 0]):
        assert label(result == i, connectivity=1, background=0).max() == 1, "thinning tears a basin apart"
        assert (result[basins == i] == i).all(), "thinning moves a basin"
    grown = (basins == 0) & (result > 0)
    if basins.any():
        expected = watershed(np.zeros(basins.shape), markers=basins, connectivity=1)
        agreement[:] += (result[grown] == expected[grown]).sum(), grown.sum()


def disjoint(pages):
    """Pages of ids as one image in which no id occurs on two pages."""
    out, last = [], 0
    for page in pages:
        out.append(np.where(page > 0, page + last, 0))
        last = max(last, out[-1].max())
    return np.stack(out)


def lonely_pixels(predicted):
    """Every pixel without segment becomes one."""
    out = predicted.copy()
    out[out == 0] = out.max() + 1 + np.arange((out == 0).sum())
    return out


def rand_squares(truth, predicted):
    predicted = lonely_pixels(predicted)
    table = contingency_table(truth, predicted, ignore_labels=[0], normalize=False)
    squares = lambda sums: (np.asarray(sums, float) ** 2).sum()
    whole = squares(table.sum(axis=0)) + squares(table.sum(axis=1))
    return 2 * squares(table.data) / whole if whole else 1.0


def information(truth, predicted):
    predicted = lonely_pixels(predicted)
    inside = truth > 0
    entropy = lambda ids: -sum(p * np.log2(p) for p in np.unique(ids, return_counts=True)[1] / inside.sum())
    parts = entropy(truth[inside]), entropy(predicted[inside])
    if min(parts) <= 0:
        return 0.0
    return max(0.0, 1 - sum(variation_of_information(truth, predicted, ignore_labels=[0])) / sum(parts))


def pixel_f1(truth, probability, threshold):
    predicted = probability > threshold
    both = (predicted & (truth > 0)).sum()
    return 2 * both / (predicted.sum() + (truth > 0).sum()) if both else 0.0


def isbi2012(truth, probability):
    """Name: (values by threshold, the best of them)."""
    true_segments = [segments(page > 0) for page in truth]
    warping, classic, rand, pixel, v_rand, v_info = ([] for _ in range(6))
    for t in THRESHOLDS:
        found = [segments(page > t) for page in probability]
        thin = [thinned(page) for page in found]
        for basins, result in zip(found, thin):
            check_thinned(basins, result)
        if len(warping) < 10:
            mistakes = sum(np.array(splits_and_merges(*page, t)) for page in zip(truth, probability)) / truth.size
            warping.append(mistakes[0])
            classic.append(mistakes[1])
        rand.append(adapted_rand_error(disjoint(true_segments), lonely_pixels(disjoint(found)))[0])
        pixel.append(1 - pixel_f1(truth, probability, t))
        v_rand.append(np.mean(list(map(rand_squares, true_segments, thin))))
        v_info.append(np.mean(list(map(information, true_segments, thin))))
    return {"warping_error": (warping, min), "warping_error_classic": (classic, min),
            "rand_error": (rand, min), "pixel_error": (pixel, min),
            "v_rand": (v_rand, max), "v_info": (v_info, max)}


def seg(truth, predicted, margin):
    height, width = truth.shape[1:]
    scores = []
    for t, p in zip(truth, predicted):
        field = set(np.unique(p[margin:max(height - margin, 0), margin:max(width - margin, 0)]))
        for i in np.unique(t[t > 0]):
            best = 0.0
            for j in field - {0}:
                common = ((t == i) & (p == j)).sum()
                if common > 0.5 * (t == i).sum():
                    best = common / ((t == i) | (p == j)).sum()
            scores.append(best)
    return np.mean(scores), len(scores)


def object_scores(truth, predicted):
    """Pairs by optimal assignment, as Cellpose and StarDist match."""
    values, counts, iou_sum = [], np.zeros(3, int), 0.0
    wrong = 0
    for t, p in zip(truth, predicted):
        ids, found = np.unique(t[t > 0]), np.unique(p[p > 0])
        iou = np.array([[((t == i) & (p == j)).sum() / ((t == i) | (p == j)).sum() for j in found] for i in ids])
        iou = iou.reshape(len(ids), len(found))
        matched = []
        for k in range(10, 20):
            fits = 20 * iou >= k - 1e-9
            pairs = linear_sum_assignment(-(fits + iou / (2 * max(iou.size, 1))))
            matched.append(fits[pairs].sum())
            if k == 10:
                iou_sum += (iou * fits)[pairs].sum()
        if len(ids) + len(found):
            values.append([m / (len(ids) + len(found) - m) for m in matched])
        counts += len(ids), len(found), matched[0]
        wrong += abs(len(ids) - len(found))
    values = np.array(values)
    return {"ap_50": values[:, 0].mean(), "ap_50_95": values.mean(),
            "panoptic_quality": 2 * iou_sum / counts[:2].sum(), "count_error": wrong / counts[0]}


def overlaps(truth, predicted, ignore):
    valid = truth != ignore
    truth, predicted = truth[valid], predicted[valid]
    scores = {"pixel_accuracy": (truth == predicted).mean()}
    for c in range(4):
        both, either = ((truth == c) & (predicted == c)).sum(), ((truth == c) | (predicted == c)).sum()
        scores[f"iou_class_{c}"] = both / either
        scores[f"dice_class_{c}"] = 2 * both / (both + either)
    return scores


def random_cells(rng, side):
    """Cells between membranes of one pixel and more, some of them open."""
    seeds = np.zeros((side, side), int)
    ys, xs = rng.integers(side, size=(2, rng.integers(1, 8)))
    seeds[ys, xs] = np.arange(len(ys)) + 1
    cells = watershed(rng.random(seeds.shape), markers=seeds, watershed_line=True) > 0
    return cells ^ (rng.random(cells.shape) < rng.choice([0, 0.05, 0.3]))


def random_ids(rng, shape, ids):
    coarse = rng.integers(ids, size=(PAGES, -(-shape[0] // 4), -(-shape[1] // 4)))
    return np.kron(coarse, np.ones((1, 4, 4), int))[:, :shape[0], :shape[1]].astype(np.uint16)


class Program:
    def __init__(self, path, folder):
        self.path, self.folder = path, pathlib.Path(folder)

    def scores(self, truth, prediction, *options):
        tifffile.imwrite(self.folder / "truth.tif", truth, photometric="minisblack")
        tifffile.imwrite(self.folder / "prediction.tif", prediction, photometric="minisblack")
        subprocess.run([self.path, "--truth", "truth.tif", "--prediction", "prediction.tif", "--json", "scores.json",
                        "--quiet", *options], cwd=self.folder, check=True)
        return json.loads((self.folder / "scores.json").read_text())


def equal(name, got, expected):
    assert abs(got - expected) < 1e-9, f"{name}: unet_eval says {got!r}, expected {expected!r}"


def check_stack(rng, program):
    side = int(rng.integers(5, 24))
    truth = np.stack([random_cells(rng, side) for _ in range(PAGES)])
    truth[0, 0, :2] = 0, 1  # both values occur
    smooth = ndimage.gaussian_filter(truth.astype(float), (0, 0.6, 0.6))
    probability = np.clip(smooth + rng.normal(0, rng.choice([0.05, 0.3]), truth.shape), 0, 1).astype(np.float32)
    if rng.random() < 0.3:
        probability = np.round(probability, 1)  # values on thresholds
    got = program.scores(truth.astype(np.uint8) * 255, probability, "--metric", "isbi2012")
    for name, (values, best) in isbi2012(truth, probability).items():
        equal(name, got["scores"][name], best(values))
        at = int(np.argmin(np.abs(THRESHOLDS - got["details"][name]["threshold"])))
        equal(name + " at its threshold", values[at], best(values))

    shape = rng.integers(8, 30, 2)
    truth = random_ids(rng, shape, 12)
    truth[0, 0, :3] = 0, 1, 2
    moved = np.where(rng.random(truth.shape) < 0.1, 0, np.roll(truth, rng.integers(3), 2)).astype(np.uint16)
    margin = int(rng.integers(6))
    got = program.scores(truth, moved, "--metric", "seg", "--margin", str(margin))
    value, objects = seg(truth, moved, margin)
    equal("seg", got["scores"]["seg"], value)
    equal("objects", got["details"]["seg"]["objects"], objects)

    got = program.scores(truth, moved, "--metric", "objects")
    for name, value in object_scores(truth, moved).items():
        equal(name, got["scores"][name], value)

    classes = random_ids(rng, shape, 5).astype(np.uint8)
    predicted = np.where(rng.random(classes.shape) < 0.3, rng.integers(4, size=classes.shape), classes)
    predicted = np.minimum(predicted, 3).astype(np.uint8)
    classes[:, :2, :5] = predicted[:, :2, :5] = np.arange(5)  # all classes occur
    predicted[predicted == 4] = 0
    got = program.scores(classes, predicted, "--metric", "iou,dice,pixel", "--ignore", "4")
    for name, value in overlaps(classes, predicted, 4).items():
        equal(name, got["scores"][name], value)


def main():
    stacks = int(sys.argv[2]) if len(sys.argv) > 2 else 200
    with tempfile.TemporaryDirectory() as folder:
        program = Program(sys.argv[1], folder)
        for stack in range(stacks):
            try:
                check_stack(np.random.default_rng(stack), program)
            except AssertionError as error:
                sys.exit(f"FAILED: stack {stack}: {error}")
    share = agreement[0] / agreement[1]
    if share < 0.95:
        sys.exit(f"FAILED: thinning agrees with scikit-image's watershed in {share:.1%} of the pixels, expected 95 %")
    print(f"thinning agrees with scikit-image's watershed in {share:.1%} of the pixels")
    print(f"{stacks * PAGES} pages of each kind: all scores as expected")


main()
