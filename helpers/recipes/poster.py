"""The map of methods:  python -m helpers.recipes.poster [--to FILE] [--scale N]

Each method of the course as a small picture that it made here, and arrows between them: the one change that turns one into another.
For print: --to poster.pdf, or --to poster.png --scale 3.
"""

import argparse
import textwrap
import time
from pathlib import Path

from matplotlib import pyplot as plt
from matplotlib.patches import FancyArrowPatch, Rectangle

from helpers.files import whole
from helpers.images import photos
from helpers.nets import DATA
from helpers.recipes.thumbnails import SHOTS, THUMBNAILS

# ---- The map. All places are in pixels of a sheet 1000 wide, from its upper left corner ----

WIDTH, HEIGHT, SIDE = 1000, 1030, 78        # of the sheet, and of a thumbnail
TITLE = "Everything here is a scalar function of an image"
LINE = "Twenty-two methods. Each arrow names the one change that turns a method into the next."
# A column says with which rule: left, right, tint, heading. All eyes can tell the tints of neighbours apart.
COLUMNS = [(28, 372, "#e3edf7", "look, or evaluate"), (374, 640, "#fdeeda", "differentiate once"),
           (642, 996, "#e0f1e8", "descend, or ascend")]
# A row says what the scalar is: top, bottom, name.
ROWS = [(98, 236, "a layer"), (238, 650, "the score of a class"), (652, 794, "distance of codes"), (796, 948, "statistics")]
QUESTIONS = [("What is the scalar?", "See the row."), ("With which rule?", "See the column."),
             ("Changing what?", "Pixels, windows,\nplaces on a page,\na painter's weights"),
             ("From where?", "A picture, noise,\nmany pictures:\nfollow the arrows")]
INK, CHANGE, ARROW = "#1d2733", "#7a1f3d", "#5b6673"
FILE = DATA / "pictures/methods.webp"
# Each method: its name, and the middle of its thumbnail.
METHODS = {
    "filters": ("first-layer\nfilters", 74, 152),
    "maps": ("activation\nmaps", 200, 152),
    "patches": ("top patches", 326, 152),
    "guided": ("deconvnet,\nguided backprop", 508, 152),
    "deepdream": ("DeepDream", 742, 152),
    "smoothgrad": ("SmoothGrad", 424, 306),
    "integrated": ("integrated\ngradients", 592, 306),
    "covered": ("occlusion", 310, 446),
    "gradient": ("saliency", 508, 446),
    "drawn": ("class picture", 742, 446),
    "fooled": ("adversarial\nexample", 912, 446),
    "cam": ("Grad-CAM", 424, 586),
    "cut": ("GrabCut", 592, 586),
    "probe": ("linear probe", 74, 706),
    "neighbours": ("nearest\nneighbours", 200, 706),
    "plane": ("PCA", 326, 706),
    "tsne": ("t-SNE", 686, 706),
    "inverted": ("feature\ninversion", 806, 706),
    "grown": ("texture by\nneighbours", 200, 866),
    "gram": ("texture\nfrom Gram", 686, 866),
    "styled": ("style\ntransfer", 806, 866),
    "fast": ("fast style", 953, 866),
}
# Each arrow: from, to, the one change, and a corner of its label: its left end, its middle or its right end, and its middle height.
ARROWS = [
    ("filters", "maps", "slide\nover a\nphoto", "center", 137, 126),
    ("maps", "patches", "search\nmany\nphotos", "center", 263, 126),
    ("maps", "covered", "score a class,\ncover a window", "left", 266, 300),
    ("maps", "neighbours", "compare\nthe codes of\ntwo pictures", "right", 194, 600),
    ("neighbours", "probe", "fit one\nreadout", "center", 137, 686),
    ("neighbours", "plane", "all on\none\npage", "center", 263, 680),
    ("neighbours", "grown", "windows of pixels\nin place of codes", "left", 207, 803),
    ("plane", "tsne", "keep who is near, not the variance:\ndescend, over points on the page", "center", 508, 686),
    ("grown", "gram", "compare means over all places\nin place of single windows", "center", 450, 846),
    ("covered", "gradient", "infinitely small\nwindows", "center", 412, 468),
    ("gradient", "smoothgrad", "mean over\nnoisy copies", "right", 459, 390),
    ("gradient", "integrated", "mean along\na line, times\nthe way", "left", 552, 402),
    ("gradient", "guided", "for a unit, another\nrule at ReLUs", "left", 514, 251),
    ("gradient", "cam", "stop at\na layer", "right", 450, 524),
    ("gradient", "cut", "seeds\nfor a cut", "left", 566, 524),
    ("gradient", "drawn", "do not stop:\nclimb, from noise", "center", 625, 468),
    ("drawn", "fooled", "from a\nphotograph,\nin a small ball", "center", 827, 421),
    ("drawn", "deepdream", "the score becomes the energy\nof a layer, from a photograph", "left", 750, 310),
    ("drawn", "inverted", "the score becomes\nthe distance to a code", "left", 792, 588),
    ("inverted", "gram", "the code's\nGram matrix", "right", 730, 790),
    ("inverted", "styled", "add a style:\nboth losses", "left", 814, 803),
    ("gram", "styled", "add a\nphoto", "center", 746, 846),
    ("styled", "fast", "descend a\npainter's\nweights", "center", 879, 840),
]


# ---- The sheet ----

def credits():
    """The photographs on the sheet, as its small print."""
    shown = [photos()[name] for name in SHOTS]
    text = "; ".join(f"{photo.title} ({photo.credit}, {photo.licence})" for photo in shown)
    return textwrap.fill(f"Photographs: {text}. PCA and t-SNE: pieces of these, a colour for each photograph; linear probe: "
                         "spheres and cubes. Everything else was computed: python -m helpers.recipes.poster", 158)


def draw(pictures):
    """The sheet, with pictures name -> (1,3,h,w) -> a matplotlib figure of WIDTH x HEIGHT pixels at 100 dpi."""
    fig = plt.figure(figsize=(WIDTH / 100, HEIGHT / 100), dpi=100)
    ax = fig.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(HEIGHT, 0))
    ax.axis("off")

    def write(x, y, text, pixels, **how):
        return ax.text(x, y, text, **{"fontsize": 0.72 * pixels, "color": INK, "ha": "center", "va": "center", "linespacing": 1.1} | how)

    write(28, 26, TITLE, 22, ha="left", weight="bold")
    write(28, 50, LINE, 13, ha="left")
    for left, right, tint, rule in COLUMNS:
        ax.add_patch(Rectangle((left, 66), right - left, ROWS[-1][1] - 66, color=tint, lw=0))
        write((left + right) / 2, 83, rule, 15, weight="bold")
    for top, bottom, name in ROWS:
        ax.plot([28, WIDTH - 4], [top - 1] * 2, color="white", lw=1.5, zorder=1.5)
        write(15, (top + bottom) / 2, name, 13, weight="bold", rotation=90)
    y = 280
    for question, answer in QUESTIONS:
        write(42, y, question, 13, ha="left", weight="bold")
        write(42, y + 11, answer, 13, ha="left", va="top")
        y += 46 + 15 * answer.count("\n")
    boxes = {}
    for key, (name, x, y) in METHODS.items():
        half, lines = SIDE / 2, name.count("\n") + 1
        boxes[key] = ax.add_patch(Rectangle((x - half, y - half), SIDE, SIDE + 4 + 14 * lines, fill=False, lw=0))
        place = (x - half, x + half, y + half, y - half)
        ax.imshow(pictures[key][0].permute(1, 2, 0).numpy(), extent=place, interpolation="lanczos", zorder=3)
        ax.add_patch(Rectangle((x - half, y - half), SIDE, SIDE, fill=False, ec=INK, lw=0.6, zorder=4))
        write(x, y + half + 4, name, 12, va="top", weight="bold")
    for start, end, change, align, x, y in ARROWS:
        ax.add_patch(FancyArrowPatch(METHODS[start][1:], METHODS[end][1:], patchA=boxes[start], patchB=boxes[end], shrinkA=2, shrinkB=2,
                                     arrowstyle="-|>", mutation_scale=9, lw=1.1, color=ARROW, zorder=2))
        write(x, y, change, 11.5, ha=align, color=CHANGE)
    write(28, ROWS[-1][1] + 8, credits(), 11, ha="left", va="top", color="#555555")
    ax.set(xlim=(0, WIDTH), ylim=(HEIGHT, 0), aspect="auto")
    return fig


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m helpers.recipes.poster", description=__doc__.split("\n\n")[0])
    parser.add_argument("--to", type=Path, default=FILE, help="a file: .webp, .png or .pdf")
    parser.add_argument("--scale", type=float, default=1.0, help="1 is 1400 pixels wide")
    args = parser.parse_args(argv)
    pictures = {}
    for key in METHODS:
        start = time.perf_counter()
        pictures[key] = THUMBNAILS[key]().detach().clamp(0, 1)
        print(f"{key:12} {time.perf_counter() - start:4.1f} s", flush=True)
    how = {"pil_kwargs": {"quality": 50, "method": 6}} if args.to.suffix == ".webp" else {}
    fig = draw(pictures)
    with whole(args.to) as beside:
        fig.savefig(beside, dpi=140 * args.scale, **how)
    plt.close(fig)


if __name__ == "__main__":
    main()
