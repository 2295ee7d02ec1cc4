"""How cost grows with the size of a picture and with the number of pictures: `run.py bench scaling [--write]`.

Prints a table; with --write it also goes into README.md beside this file, with a chart for each half. A row ends where its next point
would take it beyond LIMIT. Network techniques run as the notebooks have them: EfficientNet-Lite0 for one large picture, CourseNet
for many small ones, in batches.
"""

import argparse
import io
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.isotonic import isotonic_regression

from helpers.art import draw_style
from helpers.attribution import grad_cam, occlusion, saliency, smooth_grad
from helpers.dream import dream
from helpers.evaluation import deletion
from helpers.features import codes, linear_probe, nearest_neighbors, pca
from helpers.images import photos, resize
from helpers.inversion import invert
from helpers.nets import load_net
from helpers.optimize import descend
from helpers.param import FourierImage, PixelImage
from helpers.patches import top_patches
from helpers.recipes.marks import write_between
from helpers.segmentation import grabcut
from helpers.style import load_transform_net, style_grams, style_transfer
from helpers.texture import efros_leung
from helpers.world.scenes import render_scenes

HERE = Path(__file__).resolve().parent
SIDES, NUMBERS = (64, 96, 128, 192, 256, 384, 512), (1, 4, 16, 64, 256, 1024, 4096)
LIMIT, SLOW = 20, 3         # seconds: of a row; of a call that is not repeated
BATCH, FEATURES, MANY = 32, 512, 10 ** 9        # a generator of so many steps never ends

LOOKS = {"forward, CourseNet", "forward, EfficientNet", "saliency", "SmoothGrad, 16", "Grad-CAM", "occlusion, 225 windows"}

# What is known of a row without measuring it, where its slope need not be 1.
NOTES = {
    "a rendered scene": "the object is first looked for in 48 x 48 pixels, whatever the size: below 1",
    "GrabCut": "a minimum cut of a graph of all pixels, whose cost may grow faster than the graph: 1 or more",
    "efros_leung": "window 11, up to 128 pixels only; the source stays 64 x 64; pixels of a large ring are drawn together, of a small "
                   "one alone: below 1",
    "nearest_neighbors": "each of n is compared with each of n: 2 where that outweighs the rest",
    "pca": "n x n products and their eigenvectors for up to 512 rows, so 2 to 3; beyond, 512 x 512 of them, so 1",
    "t-SNE": "up to 1,024 only; 500 steps whatever n, each of about n log n by a tree: a little above 1",
    "linear_probe": "n equations for up to 512 rows; beyond, 512 equations, and n x 512 x 512 operations to build them: 1",
}


# ---- What is measured: for one value of what grows, dict name -> a function that does it once ----

def of_size(side, *, nets):
    """One picture of side x side pixels."""
    small, big, painter = nets
    x = photos()["dahlia"].load(side).to(memory_format=torch.channels_last)
    k = int(big(x).argmax(1))
    score, one_step = (lambda z: big(z)[:, k]), {"steps": MANY}
    descent = lambda image: partial(next, descend(image.noise(side, side), lambda z: -score(z).sum(), **one_step))
    middle = torch.linspace(-2, 2, side).square()
    bell = (-middle[:, None] - middle).exp()[None]
    jobs = {
        "forward, CourseNet": lambda: small(x),
        "forward, EfficientNet": lambda: big(x),
        "saliency": lambda: saliency(score, x),
        "SmoothGrad, 16": lambda: smooth_grad(score, x, samples=16),
        "Grad-CAM": lambda: grad_cam(big, x, "block16", lambda y: y[:, k]),
        "occlusion, 225 windows": lambda: occlusion(score, x, window=side // 8, stride=side // 16),
        "ascent step, waves": descent(FourierImage),
        "ascent step, pixels": descent(PixelImage),
        "DeepDream step": partial(next, dream(big, x, "block11", octaves=1, **one_step)),
        "inversion step": partial(next, invert(big, x, "block8", **one_step)),
        "style step": partial(next, style_transfer(big, x, style_grams(big, draw_style("strokes", 128)), **one_step)),
        "painter": lambda: painter(x, "strokes"),
        "GrabCut": lambda: grabcut(x, bell),
        "a rendered scene": lambda: render_scenes(1, size=side),
    }
    wood = resize(draw_style("woodcut"), 128)[..., 20:84, 20:84]
    return jobs | ({"efros_leung": lambda: efros_leung(wood, size=side, window=11)} if side <= 128 else {})


def of_number(n, *, net):
    """n pictures of 64 x 64 pixels, or their features."""
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits
    generator = torch.Generator().manual_seed(0)
    x, maps, f = (torch.rand(n, *shape, generator=generator) for shape in ((3, 64, 64), (64, 64), (FEATURES,)))
    x, score = x.to(memory_format=torch.channels_last), lambda z: net(z)[:, 0]
    parts = list(zip(x.split(BATCH), maps.split(BATCH)))

    def tsne():
        with threadpool_limits(1):
            TSNE(perplexity=15, angle=0.7, max_iter=500, random_state=0).fit_transform(pca(f, 50)(f).numpy())

    jobs = {
        "forward": lambda: [net(z) for z, _ in parts],
        "codes": lambda: codes(net, x, "relu5"),
        "saliency": lambda: [saliency(score, z) for z, _ in parts],
        "deletion, 16 steps": lambda: [deletion(lambda z: net(z).softmax(1)[:, 0], z, m) for z, m in parts],
        "top_patches": lambda: top_patches(net, x, "relu3", k=min(9, n)),
        "nearest_neighbors": lambda: nearest_neighbors(f, f, k=min(5, n)),
    }
    if n > 1:
        jobs |= {"pca": lambda: pca(f), "linear_probe": lambda: linear_probe(f, torch.arange(n) % 8)}
    return jobs | ({"t-SNE": tsne} if 50 <= n <= 1024 else {})      # it sees 50 components


# ---- Measuring ----

def median_seconds(job):
    """The median of at least three calls and about a second; of one call, if it is SLOW."""
    times = []
    while not times or times[0] < SLOW and (len(times) < 3 or sum(times) < 1):
        start = time.perf_counter()
        job()
        times.append(time.perf_counter() - start)
    return sorted(times)[len(times) // 2]


def measure(jobs_for, counts):
    """dict name -> {count: seconds}; `counts` maps what jobs_for takes to what the cost is drawn over."""
    rows, spent = {}, {}
    for job in jobs_for(next(iter(counts))).values():       # unmeasured: first calls import packages and choose algorithms
        job()
    for value, count in counts.items():
        for name, job in jobs_for(value).items():
            row, used = rows.setdefault(name, {}), spent.get(name, 0)
            before = max(row, default=count)
            if used + row.get(before, 0) * count / before > LIMIT:      # what it would take, if cost grew as the count does
                continue
            start = time.perf_counter()
            row[count] = median_seconds(job)
            spent[name] = used + time.perf_counter() - start
    return rows


def slope(row):
    """The power with which cost grows, {count: seconds} -> p of cost ~ count^p; not a number with fewer than two points.

    By least squares over the upper half of the points: lower down, what every call costs hides the growth.
    """
    counts = sorted(row)
    counts = counts[(len(counts) - 1) // 2:]
    if len(counts) < 2:
        return float("nan")
    return float(np.polyfit(np.log(counts), np.log([row[count] for count in counts]), 1)[0])


# ---- Table and charts ----

def duration(seconds):
    """Three digits and a unit: 1.23 ms, 45.6 ms, 7.89 s."""
    value, unit = (seconds, "s") if seconds >= 1 else (1e3 * seconds, "ms") if seconds >= 1e-3 else (1e6 * seconds, "µs")
    return f"{value:#.3g}".rstrip(".") + f" {unit}"


def table(title, rows, names):
    """Markdown: for each row its first and its last point, the slope, and what is known of it; `names` says counts in words."""
    lines = [f"| {title} | from | to | slope | note |", "|---|---|---|---|---|"]
    for name, row in rows.items():
        ends = (f"{names[count]}: {duration(row[count])}" for count in (min(row), max(row)))
        power = f"{slope(row):.2f}" if len(row) > 1 else ""
        lines.append(f"| {name} | {' | '.join(ends)} | {power} | {NOTES.get(name, '')} |")
    return "\n".join(lines)


def spread(heights, gap):
    """The nearest places to these, (n,) -> (n,), in their order, at least `gap` apart, and within 0 and 1 where there is room."""
    order, steps = np.argsort(heights, kind="stable"), gap * np.arange(len(heights))
    places = np.empty(len(heights))
    # Less what they must be apart, they only need to be in order: least squares has an exact answer for that.
    places[order] = isotonic_regression(np.array(heights)[order] - steps, y_min=0, y_max=max(0, 1 - steps[-1])) + steps
    return places


def draw(panels, ticks, xlabel, path, *, height):
    """Rows as lines of time over count, dict title -> rows, one panel below the other; writes a WebP 900 pixels wide."""
    from matplotlib import pyplot as plt
    from matplotlib.ticker import EngFormatter
    drawn, counts = io.BytesIO(), np.array(list(ticks))
    with plt.style.context(["petroff10", {"font.size": 11.5}]):
        fig, axes = plt.subplots(len(panels), figsize=(9, height), sharex=True, squeeze=False, layout="constrained")
        for ax, (title, rows) in zip(axes[:, 0], panels.items()):
            ax.set(xscale="log", yscale="log")
            ax.set_title(title, loc="left", fontsize=12)
            ax.yaxis.set_major_formatter(EngFormatter("s"))
            lines = [ax.plot(list(row), list(row.values()), marker="o", markersize=4)[0] for row in rows.values()]
            ends = np.array([row[max(row)] * counts[-1] / max(row) for row in rows.values()])
            for row, line, end in zip(rows.values(), lines, ends):      # on at a slope of 1, where a row ended early
                ax.plot([max(row), counts[-1]], [row[max(row)], end], color=line.get_color(), linestyle=":")
            low, high = ax.get_ylim()
            for decade in range(-12, 4):
                ax.plot(counts, 10.0 ** decade * counts / counts[0], color="0.85", linewidth=0.8, linestyle="--", zorder=0)
            ax.set_ylim(low, high)
            places = spread(np.log(ends / low) / np.log(high / low), 0.27 * len(panels) / height)
            for name, line, end, y in zip(rows, lines, ends, places):
                leader = {"arrowstyle": "-", "color": line.get_color(), "linewidth": 0.8, "relpos": (0, 0.5)}
                ax.annotate(name, (counts[-1], end), (1.05, y), "data", "axes fraction", va="center", arrowprops=leader)
        ax.set_xticks(counts, list(ticks.values()))
        ax.set_xticks([], minor=True)
        ax.set_xlabel(f"{xlabel} (dashed: a slope of 1; dotted: how a row that ended early would go on at it)")
        fig.savefig(drawn, format="png", dpi=100)
        plt.close(fig)
    picture = Image.open(drawn).convert("RGB").quantize(128, method=Image.Quantize.MAXCOVERAGE)     # few colours take few bytes
    picture.convert("RGB").save(path, lossless=True, quality=100, method=6)


def main(argv=None):
    parser = argparse.ArgumentParser(prog="tests/benchmarks/scaling.py", description=__doc__)
    parser.add_argument("--write", action="store_true", help="puts the tables into README.md beside this file, and two charts there")
    parser.add_argument("--sides", type=int, nargs="+", default=SIDES, metavar="PIXELS", help="fewer sizes, to try it")
    parser.add_argument("--numbers", type=int, nargs="+", default=NUMBERS, metavar="N", help="fewer numbers of pictures")
    args = parser.parse_args(argv)
    small, big = (load_net(name).to(memory_format=torch.channels_last) for name in ("coursenet", "efficientnet-lite0"))
    painter = load_transform_net().to(memory_format=torch.channels_last)
    sizes = measure(partial(of_size, nets=(small, big, painter)), {side: side ** 2 for side in args.sides})
    numbers = measure(partial(of_number, net=small), {n: n for n in args.numbers})
    sides, amounts = {side ** 2: f"{side}" for side in args.sides}, {n: f"{n:,}" for n in args.numbers}
    version, threads, features = torch.__version__.split("+")[0], torch.get_num_threads(), torch.backends.cpu.get_cpu_capability()
    how = (f"Measured with PyTorch {version}, {threads} thread{'s' * (threads > 1)}, on a processor with {features}. "
           f"Each time is the median of at least three calls, or a single call of over {SLOW} seconds; a row ends where its next point "
           f"would take it beyond {LIMIT} seconds in all. The slope is that of least squares over the upper half of the points.")
    text = "\n\n".join([how,
                        table("one picture, pixels a side", sizes, sides), table("pictures of 64 x 64 pixels", numbers, amounts)])
    print(text)
    if args.write:
        looks = {name: row for name, row in sizes.items() if name in LOOKS}
        makes = {name: row for name, row in sizes.items() if name not in LOOKS}
        draw({"To look at one picture": looks, "To make one, or to cut one out": makes}, sides,
             "pixels a side", HERE / "size.webp", height=10)
        draw({"Many pictures of 64 x 64 pixels, or their 512 features": numbers}, amounts, "pictures", HERE / "number.webp", height=5.6)
        write_between(HERE / "README.md", "scaling", text)


if __name__ == "__main__":
    main()
