"""Draw maps, masks, and images, and show them in a notebook with captions and alt texts."""

import base64
import html
import io
import re

import torch
from IPython.display import HTML
from matplotlib import color_sequences, colormaps, colors
from PIL import Image
from scipy.ndimage import binary_dilation

from helpers.images import check_images, resize, to_pil

WIDTH = 160     # pixels of a picture on the page, by default


def heat(values, *, signed=False, low=None, high=None):
    """Color a map (h,w) or (1,h,w) as an image (1,3,h,w), dark to bright from `low` to `high`.

    The default is the map's own range. With `signed`, zero is white, negative values are blue, and
    positive values are red.
    """
    values = values.detach().float().cpu().reshape(values.shape[-2:])
    if signed:
        high = float(values.abs().max()) if high is None else high
        low = -high
    low = float(values.min()) if low is None else low
    high = float(values.max()) if high is None else high
    fraction = ((values - low) / max(high - low, 1e-12)).clamp(0, 1)
    rgb = colormaps["RdBu_r" if signed else "inferno"](fraction.numpy())[..., :3]
    return torch.from_numpy(rgb).float().permute(2, 0, 1)[None]


def overlay(image, values, *, alpha=0.6):
    """Blend a map (1,h,w), resized and colored, with its image (1,3,H,W) in gray."""
    image = image.detach().cpu()
    drawn = resize(heat(values), image.shape[-2:])
    return (1 - alpha) * image.mean(1, keepdim=True) + alpha * drawn


def gradient_image(gradient, *, quantile=0.995):
    """Scale gradients (b,3,h,w) to images in [0,1]: zero is gray.

    Values beyond the quantile of |gradient| are clipped: the rest would be gray next to them.
    """
    sizes = gradient.detach().abs().flatten(1).float()
    k = max(1, round(quantile * sizes.shape[1]))
    scale = sizes.kthvalue(k, dim=1).values
    scale = torch.where(scale > 0, scale, sizes.amax(1)).clamp(min=1e-12).view(-1, 1, 1, 1)
    return (0.5 + 0.5 * gradient.detach() / scale).clamp(0, 1).cpu()


def outline(image, mask, *, color=(1.0, 0.9, 0.0), width=2):
    """Outline a mask (1,h,w) bool on its image (1,3,h,w): `color` inside, black outside."""
    drawn = image.detach().cpu().clone()
    inside = mask[0].cpu().numpy()
    around = binary_dilation(inside, iterations=width) & ~inside
    edge = binary_dilation(~inside, iterations=width) & inside
    drawn[0][:, torch.from_numpy(around)] = 0.0
    drawn[0][:, torch.from_numpy(edge)] = drawn.new_tensor(color)[:, None]
    return drawn


def draw_trimap(image, trimap, *, every=8):
    """Draw a trimap (1,h,w) on its image (1,3,h,w) as dots: red where it is 1, blue where -1."""
    drawn = image.detach().cpu().clone()
    side = max(2, every // 3)
    for top in range(every // 3, drawn.shape[2] - side, every):
        for left in range(every // 3, drawn.shape[3] - side, every):
            label = int(trimap[0, top, left])
            if label:
                color = drawn.new_tensor((0.9, 0.1, 0.1) if label > 0 else (0.1, 0.3, 1.0))
                drawn[0, :, top:top + side, left:left + side] = color[:, None, None]
    return drawn


def make_grid(images, *, columns=8, gap=1):
    """Arrange images (n,3,h,w) in rows on one image (1,3,H,W), with white gaps."""
    n, channels, h, w = images.shape
    columns = min(columns, n)
    rows = -(-n // columns)
    grid = torch.ones(channels, rows * (h + gap) - gap, columns * (w + gap) - gap)
    for k, image in enumerate(images.detach().cpu()):
        top = k // columns * (h + gap)
        left = k % columns * (w + gap)
        grid[:, top:top + h, left:left + w] = image
    return grid[None]


def image_scatter(images, points, *, labels=None, cells=36, side=24):
    """Draw images (n,3,h,w) at their points (n,2), x to the right and y up: (1,3,H,W).

    Only the first image in each of cells x cells cells is drawn. `labels` (n,) color the frames, in
    colors that color-blind readers can tell apart (Petroff 2021).
    """
    points = points.detach().cpu().float()
    low, high = points.aminmax(dim=0)
    positions = ((points - low) / (high - low).clamp(min=1e-12) * (cells - 1)).round().long()
    grid = torch.ones(3, cells * side, cells * side)
    taken = set()
    for k, image in enumerate(resize(images.detach().cpu(), side)):
        column, row = positions[k].tolist()
        if (column, row) in taken:
            continue
        taken.add((column, row))
        if labels is not None:
            image = with_frame(image, color_sequences["petroff10"][int(labels[k]) % 10])
        top = (cells - 1 - row) * side
        grid[:, top:top + side, column * side:(column + 1) * side] = image
    return grid[None]


def with_frame(image, color, width=2):
    """Replace the border of an image (3,h,w) by a color."""
    framed = torch.tensor(colors.to_rgb(color))[:, None, None].expand_as(image).clone()
    framed[:, width:-width, width:-width] = image[:, width:-width, width:-width]
    return framed


def crop_boxes(images, boxes, side):
    """Crop one box (top, left, bottom, right) of `boxes` (k,4) from each image: (k,3,side,side).

    A smaller crop is padded with gray: beyond the image's border where the box ends there.
    """
    crops = torch.full((len(images), 3, side, side), 0.5)
    for crop, image, box in zip(crops, images.detach().cpu(), boxes.tolist(), strict=True):
        top, left, bottom, right = box
        part = image[:, top:bottom, left:right][:, :side, :side]
        y = padding_before(top, top + part.shape[1], image.shape[1], side)
        x = padding_before(left, left + part.shape[2], image.shape[2], side)
        crop[:, y:y + part.shape[1], x:x + part.shape[2]] = part
    return crops


def padding_before(first, last, length, side):
    """Compute how much of the padding of pixels first..last, of `length`, lies before them."""
    missing = side - (last - first)
    if first == 0 and last < length:
        return missing
    if last == length and first > 0:
        return 0
    return missing // 2


def fit_width(image, width):
    """Convert to a PIL image about `width` pixels wide; small images grow by whole factors."""
    picture = to_pil(image)
    if picture.width > width:
        height = max(1, round(picture.height * width / picture.width))
        return picture.resize((width, height), Image.Resampling.LANCZOS)
    factor = round(width / picture.width)
    size = (picture.width * factor, picture.height * factor)
    return picture.resize(size, Image.Resampling.NEAREST)


def png(image, width=WIDTH):
    """Encode an image (1,3,h,w) as a PNG about `width` pixels wide, quickly rather than small."""
    buffer = io.BytesIO()
    fit_width(image, width).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def plain_text(markup):
    """Remove the tags of HTML and decode its entities, for screen readers."""
    return " ".join(html.unescape(re.sub(r"</?[a-zA-Z][^>]*>", " ", markup)).split())


def figure(picture, caption, alt, **options):
    """Return HTML of a PIL image, encoded as WebP with these options, above its caption."""
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", **options)
    source = f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    style = f"display:inline-block;margin:4px 20px 4px 0;vertical-align:top;width:{picture.width}px"
    return (f'<figure style="{style};max-width:100%">'
            f'<img src="{source}" alt="{html.escape(plain_text(alt))}" width="{picture.width}" '
            'style="max-width:100%">'
            f'<figcaption style="font-size:90%;line-height:1.3">{caption}</figcaption></figure>')


def compare(*pictures, captions, alt=None, credit=None, width=WIDTH, quality=None):
    """Show images (1,3,h,w) or (3,h,w) and maps (h,w) or (1,h,w) in a row, with captions below.

    A map is drawn by `heat`, and its caption gives the range. `alt` describes each picture for
    readers who cannot see it; the default is its caption. Pixels are kept as they are, or, to save
    bytes, compressed with a `quality` from 1 to 100.
    """
    alt = captions if alt is None else [alt] if isinstance(alt, str) else alt
    page = ""
    for picture, caption, text in zip(pictures, captions, alt, strict=True):
        if picture.ndim == 2 or picture.ndim == 3 and len(picture) == 1:
            low, high = picture.aminmax()
            caption = f"{caption} <small>(dark to bright: {low:.2g} to {high:.2g})</small>"
            picture = heat(picture)
        check_images(picture.reshape(-1, *picture.shape[-3:]))
        options = {"lossless": quality is None, "quality": quality or 80}
        page += figure(fit_width(picture, width), caption, text, **options)
    return HTML(f"<div>{page}" + (f"<br><small>{credit}</small>" if credit else "") + "</div>")


def show(picture, caption, *, width=2 * WIDTH, **options):
    """Show one picture with its caption; see `compare`."""
    return compare(picture, captions=[caption], width=width, **options)


def animation(pictures, caption, *, alt, width=2 * WIDTH, fps=12, quality=80):
    """Show images (1,3,h,w) of one size as an animated WebP that repeats."""
    first, *rest = [fit_width(picture, width) for picture in pictures]
    options = {"save_all": True, "append_images": rest, "duration": round(1000 / fps), "loop": 0}
    return HTML(figure(first, caption, alt, quality=quality, **options))


def credit(photo):
    """Return the line under a photograph: its title, author, and license."""
    return f"Photograph: {photo.title}. {photo.credit}, {photo.license}, from {photo.package}."


def chart(fig, caption, *, alt):
    """Show a matplotlib figure with a caption and an alt text, and close it."""
    from matplotlib import pyplot

    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", dpi=110, bbox_inches="tight")
    pyplot.close(fig)
    return HTML(figure(Image.open(buffer).convert("RGB"), caption, alt, lossless=True))
