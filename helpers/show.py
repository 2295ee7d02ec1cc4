"""Pictures in a notebook, each with a caption and alt text; heat maps; live synthesis; controls that move a picture."""

import base64
import html
import io
import time
from inspect import signature

import torch
from PIL import Image

from helpers.images import resize, to_pil

WIDTH = 160     # pixels on the page, unless told otherwise


def heat(values, *, signed=False, low=None, high=None):
    """A map as colours, (h,w) or (1,h,w) -> (1,3,h,w) in [0,1]: dark to bright from `low` to `high`, its own range unless given.

    With `signed`, blue below zero, white at zero, red above, and the range is made symmetric.
    """
    from matplotlib import colormaps
    values = values.detach().float().cpu()
    values = values[0] if values.ndim == 3 and len(values) == 1 else values
    if values.ndim != 2:
        raise ValueError(f"Got a map of shape {tuple(values.shape)}; expected (h, w). Try maps[0].")
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
    image, colours = image.detach().cpu(), resize(heat(values), tuple(image.shape[-2:]))
    return (1 - strength) * image.mean(1, keepdim=True) + strength * colours


def tile(images, *, columns=8, gap=1):
    """Many pictures as one, (n,3,h,w) -> (1,3,H,W), white between them."""
    n, c, h, w = images.shape
    columns = min(columns, n)
    rows = -(-n // columns)
    sheet = torch.ones(c, rows * (h + gap) - gap, columns * (w + gap) - gap)
    for k, image in enumerate(images.detach().cpu()):
        top, left = k // columns * (h + gap), k % columns * (w + gap)
        sheet[:, top:top + h, left:left + w] = image
    return sheet[None]


def png(image, width=WIDTH, *, quick=False):
    """(1,3,h,w) -> bytes of a PNG about `width` pixels wide; small pictures grow by whole numbers, so that pixels stay squares.

    `quick` is for pictures that move: larger bytes, in a fraction of the time.
    """
    picture = to_pil(image)
    factor = max(1, round(width / picture.width))
    buffer = io.BytesIO()
    picture = picture.resize((picture.width * factor, picture.height * factor), Image.NEAREST)
    picture.save(buffer, "PNG", optimize=not quick, compress_level=1)
    return buffer.getvalue()


def figure(data, caption, alt, width, kind="png"):
    source = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    return (f'<figure style="display:inline-block;margin:4px 20px 4px 0;vertical-align:top;max-width:100%;width:{width}px">'
            f'<img src="{source}" alt="{html.escape(alt, quote=True)}" width="{width}" style="max-width:100%">'
            f'<figcaption style="font-size:90%;line-height:1.3">{caption}</figcaption></figure>')


def compare(*pictures, captions, alt=None, credit=None, width=WIDTH):
    """Pictures side by side, each with its caption below; an image is (1,3,h,w) or (3,h,w), a map is (h,w) or (1,h,w).

    A map is drawn by `heat`, and its caption says the range. The caption is the alt text, unless `alt` gives others.
    """
    from IPython.display import HTML
    alt = captions if alt is None else [alt] if isinstance(alt, str) else alt
    if not len(pictures) == len(captions) == len(alt):
        raise ValueError(f"Got {len(pictures)} pictures, {len(captions)} captions and {len(alt)} alt texts; expected one of each.")
    parts = []
    for picture, caption, text in zip(pictures, captions, alt, strict=True):
        if picture.ndim == 2 or picture.ndim == 3 and len(picture) == 1:
            caption = f"{caption} <small>(dark to bright: {' to '.join(format(v, '.2g') for v in map_range(picture))})</small>"
            picture = heat(picture)
        data = png(picture, width)
        parts.append(figure(data, caption, text, Image.open(io.BytesIO(data)).width))
    return HTML("<div>" + "".join(parts) + (f'<br><small>{credit}</small>' if credit else "") + "</div>")


def show(picture, caption, *, alt=None, credit=None, width=2 * WIDTH):
    """One picture with its caption; see `compare`."""
    return compare(picture, captions=[caption], alt=alt, credit=credit, width=width)


def credit(photo):
    """The line under a photograph: what, who, licence."""
    return f"Photograph: {photo.title}. {photo.credit}, {photo.licence}, from {photo.package}."


def chart(fig, caption, *, alt):
    """A matplotlib figure as a picture with a caption and alt text; closes the figure."""
    from IPython.display import HTML
    from matplotlib import pyplot
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", dpi=110, bbox_inches="tight")
    pyplot.close(fig)
    return HTML(figure(buffer.getvalue(), caption, alt, Image.open(io.BytesIO(buffer.getvalue())).width))


def live(steps, *, every=0.1, width=2 * WIDTH):
    """Passes on the steps of `descend`, and shows the picture as it grows, at most once in `every` seconds."""
    import ipywidgets
    from IPython.display import display
    picture, text, last = ipywidgets.Image(format="png"), ipywidgets.HTML(), 0.0
    display(ipywidgets.VBox([picture, text]))

    def draw(step):
        picture.value = png(step.image[:1].clamp(0, 1), width, quick=True)
        text.value = f"step {step.index}, loss {step.loss:.3f}"

    step = None
    for step in steps:
        if time.monotonic() - last > every:
            draw(step)
            last = time.monotonic()
        yield step
    if step is not None:
        draw(step)


def explore(draw, **controls):
    """Controls above a picture that follows them. `draw(**values)` gives (picture, text); the text says what is shown.

    A control is a list of choices, (low, high) for whole numbers, (low, high, step), or a function of the values of the
    controls before it that gives one of these. An error in `draw` is shown in place of the text.
    """
    import ipywidgets
    # its own size, not stretched over the page
    picture, text = ipywidgets.Image(format="png", layout={"align_self": "flex-start", "max_width": "100%"}), ipywidgets.HTML()
    widgets = {}

    def values():
        return {name: widget.value for name, widget in widgets.items()}

    def resolve(spec):      # a control that depends on others asks for them by name
        return spec(**{k: v for k, v in values().items() if k in signature(spec).parameters}) if callable(spec) else spec

    def update(change=None):
        for name, spec in controls.items():
            if callable(spec) and change is not None and change.owner is not widgets[name]:
                adjust(widgets[name], resolve(spec))
        try:
            image, says = draw(**values())
            # An Image widget has no alt text, and a tooltip breaks its view: the line of text says what is shown.
            picture.value, text.value = png(image, 6 * WIDTH, quick=True), says
        except Exception as error:              # a callback has no other place to show it
            text.value = f"<b>{type(error).__name__}:</b> {html.escape(str(error))}"

    for name, spec in controls.items():
        widgets[name] = make_control(name, resolve(spec))
    for widget in widgets.values():
        widget.observe(update, "value")
    update()
    return ipywidgets.VBox([*widgets.values(), picture, text])


def make_control(name, spec):
    import ipywidgets
    if isinstance(spec, list):
        return ipywidgets.Dropdown(options=spec, value=spec[0] if not isinstance(spec[0], tuple) else spec[0][1], description=name)
    low, high, *step = spec
    slider = ipywidgets.IntSlider if not step and isinstance(low, int) else ipywidgets.FloatSlider
    return slider(min=low, max=high, step=step[0] if step else 1, value=low, description=name)


def adjust(widget, spec):
    if isinstance(spec, list):
        widget.options = spec
    else:
        widget.max = spec[1]
