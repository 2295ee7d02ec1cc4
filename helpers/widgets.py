"""Widgets for notebooks: live views, controls that a picture follows, and the reader's own picture.

Everything is drawn on the thread that runs the cells, between two cells. So a widget and a cell can
share a network: they never run it at the same time. (ipykernel 7.0 to 7.3 break this: they may call
widgets on another thread.)
"""

import asyncio
import html
import time
from contextlib import closing, contextmanager

import ipywidgets
from traitlets import Any, Unicode, dlink

from helpers.figures import WIDTH, plain_text, png
from helpers.images import load_image

PAUSE = 0.001    # seconds between two steps, for the kernel to handle buttons and cells
ROW = {"flex_flow": "row wrap"}


class Picture(ipywidgets.Image):
    """An image with a title for screen readers, because ipywidgets' Image has no alt text."""

    description = Unicode("").tag(sync=True)        # without it, a view ignores the tooltip


class ImageView(ipywidgets.VBox):
    """A picture with a line of text below it, which is also its title."""

    def __init__(self, text="", **layout):
        hidden = {"align_self": "flex-start", "max_width": "100%", "display": "none"}
        self.picture = Picture(format="png", layout=hidden)     # until it is drawn
        self.text = ipywidgets.HTML(text)
        super().__init__([self.picture, self.text], layout=layout)

    def show(self, image, text, width=6 * WIDTH):
        self.picture.value = png(image, width)
        self.picture.tooltip = plain_text(text)
        self.picture.layout.display = None
        self.text.value = text

    def follow(self, steps, width):
        """Yield the steps of `descend`, and show ten a second, and the last."""
        step = None
        shown = 0.0
        try:
            for step in steps:
                if time.monotonic() - shown > 0.1:
                    self.show(step.image[:1].clamp(0, 1), f"step {step.index} …", width)
                    shown = time.monotonic()
                yield step
        except KeyboardInterrupt:       # the kernel's stop button: keep the picture
            pass
        finally:
            if step is not None:
                text = status(f"step {step.index}, loss {step.loss:.3f}")
                self.show(step.image[:1].clamp(0, 1), text, width)


def status(text):
    """Mark a text so that screen readers read it out when it changes."""
    return f'<span role="status">{text}</span>'


class PictureInput(ipywidgets.HBox):
    """A button to upload a picture, and a field for its path, because servers limit uploads."""

    source = Any()      # the bytes or the path that were given last

    def __init__(self):
        button = ipywidgets.FileUpload(accept="image/*", description="your picture")
        path = ipywidgets.Text(description="or its path", continuous_update=False)
        super().__init__([button, path], layout=ROW)
        dlink((button, "value"), (self, "source"), content)
        dlink((path, "value"), (self, "source"))

    def load(self):
        """Load the picture as (1,3,h,w); None if there is none yet."""
        return load_image(self.source) if self.source else None


def content(files):
    """Return the bytes of an uploaded file, from a tuple or a dict (ipywidgets 7, as on Colab)."""
    files = list(files.values() if isinstance(files, dict) else files)
    return bytes(files[-1]["content"]) if files else b""


class Drawing:
    """A generator that runs step by step between cells; its errors are shown in a line of text."""

    def __init__(self, text):
        self.text = text
        self.task = None

    def start(self, steps):
        self.stop()
        self.task = asyncio.create_task(self.run(steps))

    def stop(self):
        if self.task is not None:
            self.task.cancel()

    async def run(self, steps):
        with errors_in(self.text), closing(steps):
            for _ in steps:
                await asyncio.sleep(PAUSE)


@contextmanager
def errors_in(text):
    """Show an error in a line of text, since a callback has no cell below which it could appear."""
    try:
        yield
    except Exception as error:
        text.value = status(f"<b>{type(error).__name__}:</b> {html.escape(str(error))}")


def make_controls(specs):
    """Make controls, {name: widget}, from {name: spec}.

    A spec is a list of choices, or of pairs (label, choice), for a dropdown, or (low, high) or
    (low, high, step) for a slider.
    """
    widgets = {}
    for name, spec in specs.items():
        widgets[name] = ipywidgets.interactive.widget_from_abbrev(spec)
        widgets[name].description = name
        if isinstance(spec, tuple):
            widgets[name].value = widgets[name].min
    return widgets


def values(widgets):
    """Return the values of controls, {name: value}."""
    return {name: widget.value for name, widget in widgets.items()}


def run_button(steps, /, *, width=2 * WIDTH, **controls):
    """Show buttons that start and stop `steps(**values)`, a generator like `descend`.

    Controls are those of `make_controls`. Cells still run meanwhile.
    """
    widgets = make_controls(controls)
    start = ipywidgets.Button(description="draw", icon="play")
    stop = ipywidgets.Button(description="stop", icon="stop")
    view = ImageView("Press <i>draw</i>.")
    drawing = Drawing(view.text)

    def run():
        yield from view.follow(steps(**values(widgets)), width)

    start.on_click(lambda _: drawing.start(run()))
    stop.on_click(lambda _: drawing.stop())
    return ipywidgets.VBox([*widgets.values(), ipywidgets.HBox([start, stop]), view])


def explore(draw, /, **controls):
    """Show controls above a picture that follows them: `draw(**values)` returns (image, text).

    Controls are those of `make_controls`.
    """
    widgets = make_controls(controls)
    view = ImageView()

    def redraw(change=None):
        image, text = draw(**values(widgets))
        view.show(image, status(text))

    redraw()        # the first time at once, so that errors appear in the cell
    for widget in widgets.values():
        widget.observe(errors_in(view.text)(redraw), "value")
    return ipywidgets.VBox([*widgets.values(), view])


def upload_button(draw):
    """Show a button for the reader's picture: `draw` of (1,3,h,w) returns (image, text)."""
    own = PictureInput()
    view = ImageView("No picture was chosen yet.")

    @errors_in(view.text)
    def update(change):
        image, text = draw(own.load())
        view.show(image, status(text))

    own.observe(update, "source")
    return ipywidgets.VBox([own, view])


def gallery(fill, /, **controls):
    """Show controls above many pictures, each as soon as it is computed; a change starts again.

    `fill(picture, **values)` yields (image, caption) one by one; `picture` is the reader's own,
    (1,3,h,w), or None. Controls are those of `make_controls`.
    """
    widgets = make_controls(controls)
    own = PictureInput()
    text = ipywidgets.HTML()
    wall = ipywidgets.HBox(layout=ROW)
    drawing = Drawing(text)

    def draw():
        wall.children = ()
        for image, caption in fill(own.load(), **values(widgets)):
            tile = ImageView(width=f"{WIDTH}px", flex="0 0 auto", margin="4px")
            tile.show(image, caption, WIDTH)
            wall.children += (tile,)
            text.value = f"{len(wall.children)} pictures …"
            yield
        text.value = status(f"{len(wall.children)} pictures")

    def restart(change):
        drawing.start(draw())

    for _ in draw():        # the first time at once, so that errors appear in the cell
        pass
    for widget in widgets.values():
        widget.observe(restart, "value")
    own.observe(restart, "source")
    return ipywidgets.VBox([ipywidgets.HBox([*widgets.values(), own], layout=ROW), text, wall])


class Quiz(ipywidgets.VBox):
    """A question with answers to choose from; without a kernel, text with a fold."""

    fold = ""       # HTML

    def _repr_mimebundle_(self, **options):
        return super()._repr_mimebundle_(**options) | {"text/html": self.fold}


def quiz(question, answers, *, right):
    """Show a question: `answers` maps each one to its explanation; `right` is one of them."""
    layout = {"width": "max-content"}
    choice = ipywidgets.RadioButtons(options=list(answers), value=None, layout=layout)
    text = ipywidgets.HTML()

    def explain(change):
        mark = "✓" if change.new == right else "✗"
        text.value = status(f"{mark} {answers[change.new]}")

    choice.observe(explain, "value")
    box = Quiz([ipywidgets.HTML(f"<b>{question}</b>"), choice, text])
    listed = "".join(f"<li>{answer}</li>" for answer in answers)
    box.fold = (f"<p><b>{question}</b></p><ul>{listed}</ul><details><summary>Answer</summary>"
                f"{right}. {answers[right]}</details>")
    return box
