#!/usr/bin/env python3
"""Tables (Markdown) and charts (SVG) of the documents that gpu_op_benchmark and peers/run_gpu.py write.

    report.py --ops ops.json --network network.json --out FOLDER

writes FOLDER/report.md and FOLDER/roofline-PRECISION.svg. Needs Python alone. A chart shows every pass of every layer by its
operations per byte and the rate it reached, below the ceilings that the same run measured.
"""

import argparse
import html
import json
import math
import pathlib
import sys

PASSES = ("forward", "backward_data", "backward_filter")
ENGINES = {"cuda": "#0b6e99", "cudnn": "#c4551b"}  # colour of a chart's marks
SCHEMA = 1


def read(path):
    document = json.loads(path.read_text())
    if document.get("schema") != SCHEMA:
        raise SystemExit(f"{path}: expected schema {SCHEMA}, got {document.get('schema')}")
    return document


def ceiling_of(precision):
    return "ffma_TFLOPs" if precision == "f32" else f"{precision}_TFLOPs"


def layer_tables(document):
    """One table a precision: microseconds with cold caches, each engine, and ours relative to cuDNN."""
    lines = []
    rows = [row for row in document["layers"] if row["cache"] == "cold"]
    for precision in dict.fromkeys(row["precision"] for row in rows):
        engines = [e for e in ENGINES if any(r["engine"] == e and r["precision"] == precision for r in rows)]
        lines += [f"## Layers, {precision}, cold", "",
                  "| layer | pass | floor, us | " + " | ".join(f"{e}, us | {e}, TFLOP/s | {e}, error" for e in engines)
                  + (" | cudnn / cuda |" if len(engines) == 2 else " |"),
                  "|---|---|--:|" + "--:|--:|--:|" * len(engines) + ("--:|" if len(engines) == 2 else "")]
        by_case = {}
        for row in rows:
            if row["precision"] == precision:
                by_case.setdefault((row["name"], row["op"]), {})[row["engine"]] = row
        totals = {}
        for (name, op), found in by_case.items():
            first = next(iter(found.values()))
            cells = [name, op, f"{first['floor_us']:.1f}"]
            for engine in engines:
                row = found.get(engine)
                cells += [f"{row['us_median']:.1f}", f"{row['tflops']:.1f}", f"{row['rel_err']:.1e}" +
                          ("" if row["correct"] else " **wrong**")] if row else ["-", "-", "-"]
            if len(engines) == 2:
                both = len(found) == 2
                cells.append(f"{found['cudnn']['us_median'] / found['cuda']['us_median']:.2f}" if both else "-")
                if both:
                    for engine in engines:
                        totals.setdefault(op, dict.fromkeys(engines, 0.0))[engine] += found[engine]["us_median"]
            lines.append("| " + " | ".join(cells) + " |")
        for op, sums in totals.items():
            lines.append(f"| **all** | {op} | | " + " | ".join(f"**{sums[e]:.0f}** | |" for e in engines)
                         + f" **{sums['cudnn'] / sums['cuda']:.2f}** |")
        lines.append("")
    return lines


def floors_ms(ops):
    """Sums of the layers' floors by (mode, precision); cases with a pass that was not measured are left out."""
    floors = {}
    for row in ops["layers"] if ops else []:
        floors.setdefault(row["precision"], {}).setdefault(row["op"], {})[row["name"]] = row["floor_us"] / 1e3
    result = {}
    for precision, passes in floors.items():
        sums = {op: sum(passes[op].values()) for op in passes}
        if len(passes.get("forward", {})) == 23:
            result["forward", precision] = sums["forward"]
            if set(sums) == set(PASSES):
                result["train_step", precision] = sum(sums.values())
    return result


def network_tables(document, floors):
    """One table a case: the better pass of each contender, fastest first."""
    lines = []
    for precision in dict.fromkeys(row["precision"] for row in document["network"]):
        for mode in ("forward", "train_step"):
            best = {}
            for row in document["network"]:
                if (row["precision"], row["mode"]) == (precision, mode):
                    name = row["name"]
                    best[name] = min(best.get(name, row), row, key=lambda r: r["ms"])
            if not best:
                continue
            ours = best.get("unet cuda", min(best.values(), key=lambda r: r["ms"]))
            lines += [f"## Network, {mode}, {precision}", "",
                      *([f"Floor of the convolutions alone: {floors[mode, precision]:.3g} ms.", ""]
                        if (mode, precision) in floors else []),
                      f"| | ms | p10 to p90 | images/s | peak, MB | kernels | times {ours['name']} |",
                      "|---|--:|--:|--:|--:|--:|--:|"]
            for row in sorted(best.values(), key=lambda r: r["ms"]):
                peak = row.get("arena_peak_mb", row.get("peak_mb"))
                lines.append(f"| {row['name']} | {row['ms']:.4g} | {row['ms_p10']:.4g} to {row['ms_p90']:.4g} "
                             f"| {row['images_per_s']:.4g} | {'-' if peak is None else f'{peak:.0f}'} "
                             f"| {row.get('kernels_per_step', '-')} | {row['ms'] / ours['ms']:.2f} |")
            lines.append("")
    return lines


def loss_table(document):
    lines = []
    for case in document["losses"]:
        lines += [f"## Losses, {case['precision']}", "",
                  f"Steps without dropout from the same weights and images; {case['reference']} is the reference.", "",
                  "| | " + " | ".join(str(i) for i in range(len(next(iter(case["losses"].values()), [])))) + " |"]
        lines.append("|---|" + "--:|" * (lines[-1].count("|") - 2))
        lines += [f"| {name} | " + " | ".join(f"{v:.6f}" for v in values) + " |"
                  for name, values in case["losses"].items()] + [""]
    return lines


class Axis:
    """A logarithmic axis of a chart, from value to pixel."""

    def __init__(self, low, high, begin, end):
        self.low, self.high = math.floor(math.log10(low)), math.ceil(math.log10(high))
        self.high = max(self.high, self.low + 1)
        self.begin, self.end = begin, end

    def __call__(self, value):
        share = (math.log10(value) - self.low) / (self.high - self.low)
        return self.begin + share * (self.end - self.begin)

    def ticks(self):
        return [10.0**e for e in range(self.low, self.high + 1)]


def roofline(document, precision):
    """The chart as SVG text. Shapes tell the pass, colours the engine."""
    rows = [r for r in document["layers"] if r["cache"] == "cold" and r["precision"] == precision]
    ceilings = document["ceilings"]
    memory, peak = ceilings["copy_TBps"], ceilings[ceiling_of(precision)]
    intensity = [row["flop"] / row["min_bytes"] for row in rows]
    x = Axis(min(intensity + [peak / memory]), max(intensity + [peak / memory]) * 1.5, 70, 820)
    y = Axis(min([row["tflops"] for row in rows] + [peak / 100]), peak, 470, 50)
    left, right = 10.0**x.low, 10.0**x.high
    out = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 860 540" font-family="sans-serif" font-size="12">',
           '<rect width="860" height="540" fill="white"/>',
           f'<text x="70" y="24" font-size="15">{html.escape(document["device"]["name"])}, {precision}: '
           'passes of every layer, cold caches</text>']
    for tick in x.ticks():
        out += [f'<line x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="50" y2="470" stroke="#ddd"/>',
                f'<text x="{x(tick):.1f}" y="488" text-anchor="middle">{tick:g}</text>']
    for tick in y.ticks():
        out += [f'<line x1="70" x2="820" y1="{y(tick):.1f}" y2="{y(tick):.1f}" stroke="#ddd"/>',
                f'<text x="62" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>']
    out += ['<text x="445" y="508" text-anchor="middle">operations per byte moved at least</text>',
            '<text x="18" y="260" transform="rotate(-90 18 260)" text-anchor="middle">TFLOP/s</text>']
    ridge = peak / memory
    start = max(left, 10.0**y.low / memory)
    corners = [(start, start * memory), (ridge, peak), (right, peak)]
    out.append('<polyline fill="none" stroke="#333" stroke-width="1.5" points="'
               + " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in corners) + '"/>')
    out.append(f'<text x="815" y="{y(peak) - 6:.1f}" text-anchor="end">{peak:.0f} TFLOP/s, {memory:.2f} TB/s, '
               'measured in this run</text>')
    for row, at in zip(rows, intensity):
        px, py, colour = x(at), y(row["tflops"]), ENGINES.get(row["engine"], "#777")
        title = html.escape(f"{row['name']} {row['op']} {row['engine']}: {row['us_median']:.1f} us, "
                            f"{row['tflops']:.1f} TFLOP/s")
        shape = {"forward": f'<circle cx="{px:.1f}" cy="{py:.1f}" r="4"',
                 "backward_data": f'<rect x="{px - 3.5:.1f}" y="{py - 3.5:.1f}" width="7" height="7"',
                 "backward_filter": f'<path d="M{px:.1f} {py - 5:.1f}l4.5 8h-9z"'}[row["op"]]
        out.append(f'{shape} fill="{colour}" fill-opacity="0.7"><title>{title}</title>{shape_end(shape)}')
    legend = [(ENGINES[e], e) for e in ENGINES if any(r["engine"] == e for r in rows)]
    for i, (colour, name) in enumerate(legend):
        out += [f'<rect x="{70 + 110 * i}" y="518" width="10" height="10" fill="{colour}"/>',
                f'<text x="{86 + 110 * i}" y="527">{name}</text>']
    out += ['<text x="820" y="527" text-anchor="end">circle: forward, square: gradient of the image, triangle: gradient of '
            'the filter</text>', "</svg>"]
    return "\n".join(out) + "\n"


def shape_end(shape):
    return f"</{shape[1:].split(' ')[0]}>"


def head(document, what):
    device = document.get("device", {})
    lines = [f"* {what}: commit {document['git']}, {document['utc']}, `{document['command']}`"]
    lines += [f"* {when}: " + ", ".join(f"{key} {value}" for key, value in state.items())
              for when, state in document.get("gpu", {}).items() if state]
    if device:
        clocks = document.get("clocks", {})
        lines += ["* " + ", ".join(f"{key} {value}" for key, value in device.items()),
                  "* ceilings of this run: " + ", ".join(f"{key} {value:.4g}" for key, value in
                                                         document["ceilings"].items() if key != "measured_this_run")]
        lines += [f"* clocks {when}: " + ", ".join(f"{k} {v:g}" for k, v in clocks[when].items())
                  for when in ("before", "after") if clocks.get(when)]
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ops", type=pathlib.Path, help="of gpu_op_benchmark")
    parser.add_argument("--network", type=pathlib.Path, help="of peers/run_gpu.py")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="a folder")
    arguments = parser.parse_args()
    if not arguments.ops and not arguments.network:
        parser.error("expected --ops, --network or both")
    arguments.out.mkdir(parents=True, exist_ok=True)
    lines, tables, failures, not_begun = ["# Benchmarks on a GPU", ""], [], [], []
    ops = read(arguments.ops) if arguments.ops else None
    if arguments.network:
        document = read(arguments.network)
        lines += head(document, "network")
        tables += network_tables(document, floors_ms(ops)) + loss_table(document)
        failures += document["failures"]
        not_begun += document["not_begun"]
    if ops:
        document = ops
        lines += head(document, "layers")
        tables += layer_tables(document)
        failures += document["failures"]
        not_begun += document["not_begun"]
        for precision in dict.fromkeys(row["precision"] for row in document["layers"]):
            name = f"roofline-{precision}.svg"
            (arguments.out / name).write_text(roofline(document, precision))
            tables += [f"![Roofline, {precision}]({name})", ""]
    if failures:
        tables += ["## Failures", ""] + [f"* {failure}" for failure in failures] + [""]
    if not_begun:
        tables += ["## Not begun: the time budget was spent", ""] + [f"* {case}" for case in not_begun] + [""]
    (arguments.out / "report.md").write_text("\n".join(lines + [""] + tables))
    print(arguments.out / "report.md", file=sys.stderr)


if __name__ == "__main__":
    main()
