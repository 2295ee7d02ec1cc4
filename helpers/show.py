"""Pictures in a notebook, each with a caption and alt text; heat maps; maps of pictures."""

import base64
import html
import io

import torch
import torch.nn.functional as F
from PIL import Image

from helpers.errors import check_count, describe
from helpers.images import check_floats, check_images, resize, to_pil

WIDTH = 160     # pixels on the page, unless told otherwise


def heat(values, *, signed=False, low=None, high=None):
    """A map as colours, (h,w) or (1,h,w) -> (1,3,h,w) in [0,1]: dark to bright from `low` to `high`, its own range unless given.

    With `signed`, blue below zero, white at zero, red above, and the range is made symmetric.
    """
    from matplotlib import colormaps
    if not torch.is_tensor(values) or values.is_complex() or not values.isfinite().all():
        raise ValueError(f"Got {describe(values)} as a map; expected a tensor (h, w) of finite numbers.")
    values = values.detach().float().cpu()
    values = values[0] if values.ndim == 3 and len(values) == 1 else values
    if values.ndim != 2:
        raise ValueError(f"Got {describe(values)} as a map; expected (h, w). Try maps[0].")
    low, high = map_range(values, signed=signed, low=low, high=high)
    share = ((values - low) / max(high - low, 1e-12)).clamp(0, 1)
    colours = colormaps["RdBu_r" if signed else "inferno"](share.numpy())[..., :3]
    return torch.from_numpy(colours).float().permute(2, 0, 1)[None]


def map_range(values, *, signed=False, low=None, high=None):
    """The values that stand for the darkest and the brightest colour of `heat`."""
    if signed:
        high = float(values.abs().max()) if high is None else high
        return -high, high
    return float(values.min()) if low is None else low, float(values.max()) if high is None else high


def overlay(image, values, *, strength=0.6):
    """A heat map over its picture in grey, (1,3,h,w) and (1,H,W) -> (1,3,h,w): the map is scaled to the picture."""
    check_images(image, within=False)
    image, colours = image.detach().cpu(), resize(heat(values), tuple(image.shape[-2:]))
    return (1 - strength) * image.mean(1, keepdim=True) + strength * colours


def gradient_picture(gradient, *, share=0.995):
    """A gradient as a picture, (b,3,h,w) -> (b,3,h,w) in [0,1]: grey is zero, and the quantile `share` of its sizes is full colour.

    A few pixels are far stronger than all others: at their scale the rest would be grey.
    """
    check_floats(gradient, "a gradient", least=2)
    sizes = gradient.detach().abs().flatten(1).float()
    strong = sizes.kthvalue(max(1, round(share * sizes.shape[1])), dim=1).values
    full = torch.where(strong > 0, strong, sizes.amax(1)).clamp(min=1e-12).view(-1, 1, 1, 1)
    return (0.5 + 0.5 * gradient.detach() / full).clamp(0, 1).cpu()


def outline(image, mask, *, colour=(1.0, 0.9, 0.0), width=2):
    """A mask as a line over its picture, (1,3,h,w) and (1,h,w) bool -> (1,3,h,w): coloured inside, dark outside, each `width` pixels."""
    check_images(image, within=False)
    if not torch.is_tensor(mask) or mask.dtype != torch.bool or mask.shape != (1, *image.shape[2:]):
        raise ValueError(f"Got {describe(mask)} as a mask; expected (1, {image.shape[2]}, {image.shape[3]}) of bool. Try mask > 0.5.")
    inside, drawn = mask[0].cpu(), image.detach().cpu().clone()
    drawn[0][:, grown(inside, width) & ~inside] = 0.0
    drawn[0][:, grown(~inside, width) & inside] = drawn.new_tensor(colour)[:, None]    # none along the border: nothing lies beyond it
    return drawn


def grown(mask, width):
    """All within `width` steps of a mask, up, down, left or right, (h,w) -> (h,w) bool; scipy's binary_dilation, without its import."""
    steps = torch.arange(-width, width + 1).abs()
    diamond = (steps[:, None] + steps <= width).float()
    return F.conv2d(mask[None, None].float(), diamond[None, None], padding=width)[0, 0] > 0.5


def dots(image, seeds, *, every=8):
    """Seeds as dots over their picture, (1,3,h,w) and (1,h,w) of 1, 0, -1 -> (1,3,h,w): red object, blue ground, one in `every` pixels."""
    check_images(image, within=False), check_count(every, "pixels from dot to dot")
    if not torch.is_tensor(seeds) or seeds.shape != (1, *image.shape[2:]):
        raise ValueError(f"Got {describe(seeds)} as seeds; expected (1, {image.shape[2]}, {image.shape[3]}). Try seeds(saliency_map).")
    every = int(every)
    drawn, side = image.detach().cpu().clone(), max(2, every // 3)
    for top in range(every // 3, drawn.shape[2] - side, every):
        for left in range(every // 3, drawn.shape[3] - side, every):
            kind = int(seeds[0, top, left])
            if kind:
                colour = (0.9, 0.1, 0.1) if kind > 0 else (0.1, 0.3, 1.0)
                drawn[0, :, top:top + side, left:left + side] = drawn.new_tensor(colour)[:, None, None]
    return drawn


def make_grid(images, *, columns=8, gap=1):
    """Many pictures as one, (n,3,h,w) -> (1,3,H,W), white between them."""
    check_images(images, within=False), check_count(columns, "columns")
    n, c, h, w = images.shape
    columns = min(int(columns), n)
    rows = -(-n // columns)
    sheet = torch.ones(c, rows * (h + gap) - gap, columns * (w + gap) - gap)
    for k, image in enumerate(images.detach().cpu()):
        top, left = k // columns * (h + gap), k % columns * (w + gap)
        sheet[:, top:top + h, left:left + w] = image
    return sheet[None]


def picture_map(images, points, *, frames=None, cells=36, side=24):
    """Pictures laid out where their points are, (n,3,h,w) and (n,2) -> (1,3,H,W), on a square grid of `cells` each way.

    The first coordinate grows to the right, the second upwards. Of those that fall in one cell, the first is shown.
    `frames` gives each a number from 0 for the colour of its frame, (n,): those of matplotlib's petroff10, which all eyes can
    tell apart (Petroff 2021).
    """
    from matplotlib import color_sequences
    from matplotlib.colors import to_rgb
    check_images(images), check_floats(points, "points", finite=True)
    check_count(cells, "cells"), check_count(side, "pixels a side")
    if points.shape != (len(images), 2):
        raise ValueError(f"Got points {tuple(points.shape)} for {len(images)} images; expected ({len(images)}, 2).")
    points = points.detach().cpu().float()
    low, high = points.amin(0), points.amax(0)
    places = ((points - low) / (high - low).clamp(min=1e-12) * (cells - 1)).round().long()
    sheet, taken = torch.ones(3, cells * side, cells * side), set()
    small = resize(images.detach().cpu(), side)
    for n, (column, row) in enumerate(places.tolist()):
        if (column, row) in taken:
            continue
        taken.add((column, row))
        picture = small[n]
        if frames is not None:
            picture = torch.tensor(to_rgb(color_sequences["petroff10"][int(frames[n]) % 10]))[:, None, None].repeat(1, side, side)
            picture[:, 2:-2, 2:-2] = small[n][:, 2:-2, 2:-2]
        top, left = (cells - 1 - row) * side, column * side
        sheet[:, top:top + side, left:left + side] = picture
    return sheet[None]


def crop_boxes(images, boxes, side):
    """Parts of images, (k,3,h,w) and boxes (k,4) -> (k,3,side,side): top, left, bottom, right; grey where a part is smaller.

    A part that ends at the border of its image has the grey beyond that border, where the rest of its receptive field lies.
    """
    check_images(images, within=False), check_count(side, "pixels a side")
    h, w, side = *images.shape[2:], int(side)
    if not torch.is_tensor(boxes) or boxes.is_floating_point() or boxes.shape != (len(images), 4):
        raise ValueError(f"Got {describe(boxes)} as boxes; expected four whole numbers for each of {len(images)} images. "
                         "Try TopPatches.boxes.")
    if not ((0 <= boxes) & (boxes <= boxes.new_tensor([h, w, h, w]))).all():
        raise ValueError(f"Got boxes from {boxes.min()} to {boxes.max()}; expected them within images of {h} x {w} pixels.")
    parts = torch.full((len(images), 3, side, side), 0.5)
    for part, image, (top, left, bottom, right) in zip(parts, images.detach().cpu(), boxes.tolist(), strict=True):
        rows, y = beside(top, bottom, image.shape[1], side)
        columns, x = beside(left, right, image.shape[2], side)
        here = image[:, rows, columns]
        part[:, y:y + here.shape[1], x:x + here.shape[2]] = here
    return parts


def beside(first, last, length, side):
    """Which pixels of a line are shown in `side` places, and from which place on: at the end if what is missing lies before it."""
    last = min(last, first + side)
    missing = side - (last - first)
    at_start, at_end = first == 0, last == length
    return slice(first, last), missing if at_start and not at_end else 0 if at_end and not at_start else missing // 2


def fit_width(image, width):
    """A picture about `width` pixels wide, as PIL's: small ones grow by whole numbers, so that pixels stay squares; large ones shrink."""
    check_count(width, "pixels of width")
    picture, width = to_pil(image), int(width)
    if picture.width > width:
        return picture.resize((width, max(1, round(picture.height * width / picture.width))), Image.LANCZOS)
    factor = round(width / picture.width)
    return picture.resize((picture.width * factor, picture.height * factor), Image.NEAREST)


def png(image, width=WIDTH, *, quick=False):
    """(1,3,h,w) -> bytes of a PNG about `width` pixels wide.

    `quick` is for pictures that move: larger bytes, in a fraction of the time.
    """
    buffer = io.BytesIO()
    fit_width(image, width).save(buffer, "PNG", optimize=not quick, compress_level=1)
    return buffer.getvalue()


def figure(data, caption, alt, width, kind="png"):
    source = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    return (f'<figure style="display:inline-block;margin:4px 20px 4px 0;vertical-align:top;max-width:100%;width:{width}px">'
            f'<img src="{source}" alt="{html.escape(alt, quote=True)}" width="{width}" style="max-width:100%">'
            f'<figcaption style="font-size:90%;line-height:1.3">{caption}</figcaption></figure>')


def compare(*pictures, captions, alt=None, credit=None, width=WIDTH, quality=None):
    """Pictures side by side, each with its caption below; an image is (1,3,h,w) or (3,h,w), a map is (h,w) or (1,h,w).

    A map is drawn by `heat`, and its caption says the range. `alt` says what is to be seen, to those who do not see it; the caption
    stands in for it where there is none.
    Every pixel is kept as it is; `quality`, from 1 to 100, is for large sheets: it keeps about so much, in far fewer bytes.
    """
    from IPython.display import HTML
    alt = captions if alt is None else [alt] if isinstance(alt, str) else alt
    if not len(pictures) == len(captions) == len(alt):
        raise ValueError(f"Got {len(pictures)} pictures, {len(captions)} captions and {len(alt)} alt texts; expected one of each.")
    parts = []
    for picture, caption, text in zip(pictures, captions, alt, strict=True):
        if not torch.is_tensor(picture):
            raise TypeError(f"Got {describe(picture)}; expected a tensor: an image (1, 3, h, w), or a map (h, w). Try load_image.")
        if picture.ndim == 2 or picture.ndim == 3 and len(picture) == 1:
            drawn = heat(picture)
            caption = f"{caption} <small>(dark to bright: {' to '.join(format(v, '.2g') for v in map_range(picture))})</small>"
            picture = drawn
        drawn, buffer = fit_width(picture, width), io.BytesIO()
        drawn.save(buffer, "WEBP", lossless=quality is None, quality=quality or 80)     # lossless takes two thirds of a PNG's bytes
        parts.append(figure(buffer.getvalue(), caption, text, drawn.width, "webp"))
    return HTML("<div>" + "".join(parts) + (f'<br><small>{credit}</small>' if credit else "") + "</div>")


def show(picture, caption, *, alt=None, credit=None, width=2 * WIDTH, quality=None):
    """One picture with its caption; see `compare`."""
    return compare(picture, captions=[caption], alt=alt, credit=credit, width=width, quality=quality)


def film(pictures, caption, *, alt, width=2 * WIDTH, rate=12, quality=80):
    """Pictures (1,3,h,w) of one size, one after the other and over again, `rate` a second: an animated WebP, which needs no codec.

    Raises ValueError for no picture, or pictures of several sizes.
    """
    from IPython.display import HTML
    frames = [fit_width(picture, width) for picture in pictures]
    sizes = {frame.size for frame in frames}
    if len(sizes) != 1:
        raise ValueError(f"Got {len(frames)} pictures of {len(sizes)} sizes; expected at least one, all of one size. "
                         "Try resize(picture, size).")
    buffer = io.BytesIO()
    frames[0].save(buffer, "WEBP", save_all=True, append_images=frames[1:], duration=round(1000 / rate), loop=0, quality=quality)
    return HTML(figure(buffer.getvalue(), caption, alt, frames[0].width, "webp"))


def credit(photo):
    """The line under a photograph: what, who, licence."""
    return f"Photograph: {photo.title}. {photo.credit}, {photo.licence}, from {photo.package}."


def chart(fig, caption, *, alt):
    """A matplotlib figure as a picture with a caption and alt text; closes the figure."""
    from IPython.display import HTML
    from matplotlib import pyplot
    drawn, buffer = io.BytesIO(), io.BytesIO()
    fig.savefig(drawn, format="png", dpi=110, bbox_inches="tight")
    pyplot.close(fig)
    picture = Image.open(drawn).convert("RGB")
    picture.save(buffer, "WEBP", lossless=True)         # a third of a PNG's bytes, or less
    return HTML(figure(buffer.getvalue(), caption, alt, picture.width, "webp"))
