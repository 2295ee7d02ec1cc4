"""Show images as HTML with WebP inside. The notebooks not yet rewritten use it; it goes with them.

`helpers.figures` makes ordinary images, which every viewer shows.
"""

import base64
import html
import io

from IPython.display import HTML
from PIL import Image

from helpers.drawing import heat, make_grid, overlay  # noqa: F401, for setup cells in one line
from helpers.figures import WIDTH, fit, plain_text
from helpers.images import check_images


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
        picture = picture.reshape(-1, *picture.shape[-3:])
        check_images(picture)
        options = {"lossless": quality is None, "quality": quality or 80}
        page += figure(Image.fromarray(fit(picture, width)), caption, text, **options)
    return HTML(f"<div>{page}" + (f"<br><small>{credit}</small>" if credit else "") + "</div>")


def show(picture, caption, *, width=2 * WIDTH, **options):
    """Show one picture with its caption; see `compare`."""
    return compare(picture, captions=[caption], width=width, **options)


def animation(pictures, caption, *, alt, width=2 * WIDTH, fps=12, quality=80):
    """Show images (1,3,h,w) of one size as an animated WebP that repeats."""
    first, *rest = [Image.fromarray(fit(picture, width)) for picture in pictures]
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
