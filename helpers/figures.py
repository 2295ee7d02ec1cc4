"""Show figures in notebooks: each is one image, with its caption and description from a file.

Pictures and charts become an ordinary image output, which every viewer shows. In charts, methods
have colors and baselines are gray.
"""

import base64
import html
import io
import re
import tomllib
from itertools import cycle
from math import ceil
from pathlib import Path
from textwrap import wrap

import numpy as np
import torch
from IPython.display import Markdown, display
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from matplotlib.transforms import IdentityTransform
from PIL import Image

from helpers.drawing import heat
from helpers.errors import describe, unknown_name
from helpers.images import check_images, resize, to_pil
from helpers.metrics import bootstrap_ci
from helpers.photos import photos

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
WIDTH = 160         # pixels of a picture in a widget, by default
WIDEST = 1000       # pixels of a figure
DPI = 100
LINE = 17           # pixels of a line of text, which has 10 points
LETTER = 8          # pixels of most letters, or less
GAP = 8             # pixels between pictures
BAR = 80            # pixels of a color bar with its numbers
COLORS = ("#0072b2", "#e69f00", "#cc79a7", "#56b4e9", "#d55e00", "#009e73")     # Okabe & Ito 2008
GRAY = "#888888"
# An invisible image with alt text, because JupyterLab gives an image output none, and its sanitizer
# removes roles and aria labels.
SPOKEN = ('<img alt="{}" width="1" height="1" src="data:image/gif;base64,'
          'R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==">')


# ---- Pictures ----


def show(pictures, titles=(), *, figure=None, columns=None, row_titles=(), width=320,
         signed=False, limits=None):
    """Show images (3,h,w) or (n,3,h,w) and maps (h,w) or (1,h,w) in a grid, as one image.

    `pictures` is a tensor, a list, or a dict with the titles as keys; there is a title for each
    picture or for each column. A picture is at most `width` pixels wide; pixels of a small one stay
    sharp squares. Maps are drawn by `heat`, each in its own range, or, with a color bar, from
    `limits`, (low, high).
    """
    if isinstance(pictures, dict):
        titles = list(pictures)
        pictures = list(pictures.values())
    low, high = limits or (None, None)
    images = [x[None] if x.ndim == 3 else heat(x, signed=signed, low=low, high=high)
              for x in unpack(pictures)]
    columns = columns or ceil(len(images) / ceil(len(images) / 8))
    if len(titles) not in (0, columns, len(images)):
        raise ValueError(f"Got {len(titles)} titles for {len(images)} pictures in {columns} "
                         "columns; expected one for each picture or one for each column.")
    left = GAP + (LETTER * max(map(len, row_titles)) + GAP if row_titles else 0)
    room = (WIDEST - left - BAR * bool(limits)) // columns - GAP
    tiles = [fit(x, min(width, room)) for x in images]
    fig = draw_grid(tiles, titles, row_titles, columns, left)
    if limits:
        add_colorbar(fig, low, high, "RdBu_r" if signed else "inferno")
    files = [encode(fig, "png"), encode(fig, "jpeg")]       # exact pixels, where that is smaller
    publish(min(files, key=lambda file: len(file[1])), figure, titles)


def unpack(pictures):
    """List the single images (3,h,w) and maps (h,w) in a tensor or in a list of them."""
    if not torch.is_tensor(pictures) or pictures.ndim == 4:
        return [single for picture in pictures for single in unpack(picture)]
    if pictures.ndim == 3 and len(pictures) == 3:
        check_images(pictures[None])
    elif pictures.ndim == 3 and len(pictures) == 1:
        pictures = pictures[0]
    elif pictures.ndim != 2:
        raise ValueError(f"Got {describe(pictures)}; expected images (3, h, w) or (n, 3, h, w), or "
                         "maps (h, w) or (1, h, w). Try list(maps) for several maps (n, h, w).")
    return [pictures.detach().float().cpu()]


def fit(image, width):
    """Enlarge an image (1,3,h,w) by a whole factor up to `width`, or shrink it: bytes (h,w,3)."""
    h, w = image.shape[2:]
    factor = width // w
    if factor == 0:
        image = resize(image, (ceil(h * width / w), width))
    else:
        image = image.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    return np.asarray(to_pil(image))


def draw_grid(tiles, titles, row_titles, columns, left):
    """Draw tiles (h,w,3) in rows, with titles above them and at the left."""
    longest = max([len(word) for title in titles for word in title.split()], default=0)
    side = max(LETTER * longest, *[tile.shape[1] for tile in tiles])
    lines = [[part for line in title.splitlines() for part in wrap(line, side // LETTER)]
             for title in titles]
    lines += [[]] * (len(tiles) - len(titles))
    rows = [slice(k, k + columns) for k in range(0, len(tiles), columns)]
    heights = [max(map(len, tiles[row])) for row in rows]
    spaces = [GAP + LINE * max(map(len, lines[row])) for row in rows]
    tops = np.cumsum(spaces) + np.cumsum([0, *heights[:-1]])
    height = tops[-1] + heights[-1] + GAP
    fig = Figure(((left + columns * (side + GAP)) / DPI, height / DPI), dpi=DPI)
    pixels = {"transform": IdentityTransform()}
    for k, tile in enumerate(tiles):
        row, column = divmod(k, columns)
        middle = left + column * (side + GAP) + side // 2
        top = height - tops[row]
        fig.figimage(tile, middle - tile.shape[1] // 2, top - (heights[row] + len(tile)) // 2)
        fig.text(middle, top + 3, "\n".join(lines[k]), ha="center", va="bottom", **pixels)
    for title, top, inside in zip(row_titles, tops, heights):
        middle = height - top - inside // 2
        fig.text(left - GAP, middle, title, ha="right", va="center", **pixels)
    return fig


def add_colorbar(fig, low, high, cmap):
    """Widen a figure by a color bar, at most 200 pixels high."""
    width, height = fig.get_size_inches() * DPI
    fig.set_size_inches((width + BAR) / DPI, height / DPI)
    length = min(200, height - 2 * GAP) / height
    axes = fig.add_axes((width / (width + BAR), (1 - length) / 2, 14 / (width + BAR), length))
    colors = ScalarMappable(cmap=cmap)
    colors.set_clim(low, high)
    fig.colorbar(colors, cax=axes)


# ---- Charts ----


def curves(lines, x=None, *, baselines=None, figure=None, percent=False, **options):
    """Draw curves by name: values (n,), or (images,n) for the mean with its bootstrap interval.

    (mean, low, high) also gives an interval. Baselines are gray; a number is a level. `x` holds the
    n positions, numbers or names. Options go to matplotlib: xlabel="steps", xscale="log".
    """
    axes = new_axes(380, percent and "y", **options)
    grays = cycle(["--", ":", "-.", (0, (1, 4))])
    for name, values, color in in_colors(lines, baselines):
        mean, low, high = estimate(values, 1)
        x = range(len(mean)) if x is None else x
        mean, low, high = (np.broadcast_to(value, len(x)) for value in (mean, low, high))
        style = {"linestyle": next(grays)} if color == GRAY else {"marker": "o"}
        axes.plot(x, mean, color=color, label=name, **style)
        axes.fill_between(x, low, high, color=color, alpha=0.2, linewidth=0)
    axes.figure.legend(loc="outside right center", frameon=False)
    publish(encode(axes.figure, "png"), figure, [*lines, *(baselines or {})])


def bars(values, groups, *, baselines=None, figure=None, percent=False, **options):
    """Draw horizontal bars by name, one for each group: values (groups,).

    (images,groups) gives means with bootstrap intervals, and (mean, low, high) gives intervals.
    Baselines are gray. Options go to matplotlib: xlabel="accuracy".
    """
    rows = in_colors(values, baselines)
    axes = new_axes(80 + 22 * len(rows) * len(groups), percent and "x", **options)
    height = 0.8 / len(rows)
    for k, (name, value, color) in enumerate(rows):
        mean, low, high = estimate(value, 1)
        y = np.arange(len(groups)) + (k - (len(rows) - 1) / 2) * height
        errors = (mean - low, high - mean) if np.any(high > low) else None
        drawn = axes.barh(y, mean, 0.92 * height, xerr=errors, color=color, label=name)
        axes.bar_label(drawn, fmt="{:.0%}" if percent else "{:.3g}", padding=4)
    set_rows(axes, groups)
    if len(rows) > 1:
        axes.figure.legend(loc="outside upper center", ncols=4, frameon=False)
    publish(encode(axes.figure, "png"), figure, [*values, *groups])


def evidence(methods, baselines=None, *, figure=None, percent=False, **options):
    """Draw the evidence for a claim: means with intervals of methods, next to those of baselines.

    Values by name: one per image (images,), whose mean gets a bootstrap interval of 95%; or
    (mean, low, high); or a number. A line marks each baseline. Options go to matplotlib.
    """
    rows = in_colors(methods, baselines, COLORS[:1])
    axes = new_axes(70 + 28 * len(rows), percent and "x", **options)
    for k, (_, values, color) in enumerate(rows):
        mean, low, high = map(float, estimate(values, 0))
        axes.plot([low, high], [k, k], color=color)
        axes.plot(mean, k, "o", color=color)
        if color == GRAY:
            axes.axvline(mean, color=GRAY, linewidth=1, linestyle="--", zorder=0)
        text = f"{mean:.0%}" if percent else f"{mean:.2f}"
        axes.annotate(text, (high, k), (6, 0), textcoords="offset points", va="center",
                      bbox={"color": "white", "pad": 1})
    set_rows(axes, [name for name, _, _ in rows])
    publish(encode(axes.figure, "png"), figure, [*methods, *(baselines or {})])


def set_rows(axes, names):
    """Name the rows of a chart, the first one at the top."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)


def new_axes(height, percent, **options):
    """Make axes of a new figure, `height` pixels high; `percent` is the axis in percent, or no."""
    fig = Figure((7, height / DPI), dpi=DPI, layout="constrained")
    axes = fig.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.set(**options)
    if percent:
        getattr(axes, f"{percent}axis").set_major_formatter(PercentFormatter(1))
    return axes


def in_colors(methods, baselines, colors=COLORS):
    """List (name, values, color): methods in colors, baselines in gray."""
    ours = [(*item, color) for item, color in zip(methods.items(), cycle(colors))]
    return ours + [(*item, GRAY) for item in (baselines or {}).items()]


def estimate(values, ndim):
    """Return mean, low, and high of values; a dimension more than `ndim` comes first: images."""
    if isinstance(values, tuple):
        return [np.asarray(value, float) for value in values]
    values = torch.as_tensor(values).detach().float().cpu()
    if values.ndim <= ndim:
        return [values.numpy()] * 3
    low, high = bootstrap_ci(values.movedim(0, -1))
    return values.mean(0).numpy(), low.numpy(), high.numpy()


# ---- Output ----


def animation(frames, *, figure=None, width=320, fps=12):
    """Show images (n,3,h,w), or a list of them, as an animation that repeats.

    It is an animated PNG, because nbconvert and PDF do not show image/gif. Where nothing moves, the
    last frame is seen.
    """
    tiles = [fit(frame[None], width) for frame in unpack(frames)]
    palette = Image.fromarray(np.concatenate(tiles)).quantize(128)      # a third of the bytes
    pictures = [Image.fromarray(tile).quantize(palette=palette, dither=0) for tile in tiles]
    buffer = io.BytesIO()
    pictures[-1].save(buffer, "PNG", save_all=True, append_images=pictures, default_image=True,
                      duration=round(1000 / fps))
    publish(("image/png", buffer.getvalue()), figure, ["animation"])


def encode(fig, kind):
    """Draw a figure as a PNG or JPEG: its MIME type and its bytes."""
    canvas = FigureCanvasAgg(fig)
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])
    buffer = io.BytesIO()
    picture.save(buffer, kind, quality=75, progressive=True)
    return f"image/{kind}", buffer.getvalue()


def publish(image, figure, names):
    """Display an image, (MIME type, bytes), and below it the caption of this figure.

    The description is its text/plain, which VS Code takes as alt text, and `alt` in its metadata,
    for nbconvert's classic template; an invisible image behind the caption has it, too.
    """
    kind, data = image
    caption, description = texts(figure) if figure else ("", ", ".join(filter(None, names)))
    bundle = {kind: base64.b64encode(data).decode(), "text/plain": description}
    display(bundle, raw=True, metadata={kind: {"alt": description}})
    if caption:
        display(Markdown(f"{caption} {SPOKEN.format(html.escape(description))}"))


def texts(figure):
    """Look up caption and description of "1.8-occlusion" in 01_*.toml, here or in notebooks/."""
    pattern = f"{figure.partition('.')[0]:0>2}_*.toml"
    paths = [*Path().glob(pattern), *NOTEBOOKS.glob(pattern)]
    entries = tomllib.loads(paths[0].read_text(encoding="utf-8")) if paths else {}
    if figure not in entries:
        raise unknown_name(f"figure in {pattern} named", figure, entries)
    return entries[figure]["caption"], entries[figure]["description"]


def credits(*names):
    """Show the credits of photographs from the album, by name; without names, of all."""
    album = photos()
    chosen = [album[name] for name in names or album]
    lines = [f"{photo.title[0].upper()}{photo.title[1:]}: {photo.credit}, {photo.license}, from "
             f"{photo.package}." for photo in chosen]
    display(Markdown("Photographs. " + " ".join(lines)))


def png(image, width=WIDTH):
    """Encode an image (1,3,h,w) as a PNG at most `width` pixels wide, quickly rather than small."""
    buffer = io.BytesIO()
    Image.fromarray(fit(image, width)).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def plain_text(markup):
    """Remove the tags of HTML and decode its entities, for screen readers."""
    return " ".join(html.unescape(re.sub(r"</?[a-zA-Z][^>]*>", " ", markup)).split())
