"""What moves in a notebook: live synthesis, controls that a picture follows, a button for the reader's own picture."""

import html
import re
import threading
import time
from contextlib import contextmanager, suppress
from inspect import signature
from itertools import count, takewhile

import ipywidgets
from IPython.display import display
from traitlets import Unicode

from helpers.images import load_image
from helpers.show import WIDTH, png

SLOW = 0.15     # seconds: a picture that takes longer follows a slider once it is let go, not all along its way


class Picture(ipywidgets.Image):
    """A picture that a screen reader can name: an Image widget has no alt text, and `tell` gives it a title."""

    description = Unicode("").tag(sync=True)        # a view takes a tooltip for its title only where a description is empty, not missing

    def tell(self, says):
        self.tooltip = " ".join(html.unescape(re.sub("<[^>]*>", " ", says)).split())


class Line(ipywidgets.HTML):
    """A line of text for screen readers to read out when it changes; not one that ends in "…", since that will change again."""

    value = Unicode("").tag(sync=True, to_json=lambda text, _: text if text.endswith("…") else f'<span role="status">{text}</span>')


class Screen(ipywidgets.VBox):
    """A picture of its own size, and a line of text below it, which is the picture's title as well."""

    def __init__(self, says=""):
        # Hidden until there is a picture: browsers draw an empty one as broken.
        self.picture = Picture(format="png", layout={"align_self": "flex-start", "max_width": "100%", "display": "none"})
        self.text = Line(says)
        super().__init__([self.picture, self.text])

    def show(self, image, says, width=6 * WIDTH):
        self.picture.value, self.picture.layout.display = png(image, width, quick=True), None
        self.picture.tell(says)
        self.text.value = says

    def follow(self, steps, every, width, more=lambda: ""):
        """Passes on the steps, and shows them: at most one in `every` seconds, and the last."""
        last, step = 0.0, None

        def show(end=""):
            self.show(step.image[:1].clamp(0, 1), f"step {step.index}, loss {step.loss:.3f}{more()}{end}", width)

        with suppress(KeyboardInterrupt):       # the kernel's stop button: whoever stops it wants to keep the picture
            for step in steps:
                if time.monotonic() - last > every:
                    show(" …")
                    last = time.monotonic()
                yield step
        if step is not None:
            show()


@contextmanager
def errors_in(text):
    """Shows an error as a line of text; for a callback or a thread, which has no other place for it."""
    try:
        yield
    except Exception as error:
        text.value = f"<b>{type(error).__name__}:</b> {html.escape(str(error))}"


def control(name, spec):
    """The control that ipywidgets makes of a list, (low, high) or (low, high, step), at its first choice or its lowest value."""
    widget = ipywidgets.interactive.widget_from_abbrev(spec)
    if widget is None:
        raise ValueError(f"Got {name}={spec!r}; expected a list of choices, or numbers: (low, high) or (low, high, step).")
    widget.description = name
    if isinstance(spec, tuple):
        widget.value = widget.min
    return widget


def fit(widget, spec):
    """Gives a control the choices or the range of `spec`. A value that is not among them becomes the first, or the nearest."""
    if isinstance(spec, list):
        widget.options = spec
    else:
        with widget.hold_trait_notifications():     # or a new low could not pass the old high
            for name, value in zip(("min", "max", "step"), spec):
                setattr(widget, name, value)


def values(widgets):
    return {name: widget.value for name, widget in widgets.items()}


def file_button():
    return ipywidgets.FileUpload(accept="image/*", multiple=False, description="your picture")


def uploaded(button):
    """The reader's own picture, (1,3,h,w), or None until there is one."""
    return load_image(bytes(button.value[0]["content"])) if button.value else None


def live(steps, *, every=0.1, width=2 * WIDTH):
    """Passes on the steps of `descend`, and shows the picture as it grows, at most once in `every` seconds."""
    screen = Screen()
    display(screen)
    yield from screen.follow(steps, every, width)


def play(steps, /, *, every=0.02, width=2 * WIDTH, **controls):
    """A button that draws, and one that stops and keeps the picture. `steps(**values)` gives the steps, as `descend` does.

    Controls as for `explore`, but none may depend on another. It runs beside the notebook, so that other cells still run;
    the line of text says the step, the loss, and how many pictures a second were drawn. An error is shown in its place.
    """
    widgets = {name: control(name, spec) for name, spec in controls.items()}
    start, stop = ipywidgets.Button(description="draw", icon="play"), ipywidgets.Button(description="stop", icon="stop", disabled=True)
    screen, stopped = Screen("Press <i>draw</i>."), threading.Event()

    def run():
        began, drawn = time.monotonic(), count(1)
        rate = lambda: f", {next(drawn) / max(time.monotonic() - began, 1e-9):.0f} pictures a second"
        with errors_in(screen.text):
            for _ in screen.follow(takewhile(lambda _: not stopped.is_set(), steps(**values(widgets))), every, width, rate):
                pass
        start.disabled, stop.disabled = False, True

    def begin(_):
        stopped.clear()
        start.disabled, stop.disabled = True, False
        threading.Thread(target=run, daemon=True).start()

    start.on_click(begin)
    stop.on_click(lambda _: stopped.set())
    return ipywidgets.VBox([*widgets.values(), ipywidgets.HBox([start, stop]), screen])


def explore(draw, /, **controls):
    """Controls above a picture that follows them. `draw(**values)` gives (picture, text); the text says what is shown.

    A control is a list of choices, (low, high) or (low, high, step), of whole numbers where all are whole, or a function of
    the values of the controls before it that gives one of these. The first draw raises its error; a later one shows it in
    place of the text.
    """
    screen, widgets, fitting = Screen(), {}, threading.Lock()

    def resolve(spec):      # a control that depends on others asks for them by name
        return spec(**{k: v for k, v in values(widgets).items() if k in signature(spec).parameters}) if callable(spec) else spec

    def redraw():
        began = time.monotonic()
        screen.show(*draw(**values(widgets)))
        for widget in widgets.values():
            if widget.has_trait("continuous_update"):
                widget.continuous_update = time.monotonic() - began < SLOW

    @errors_in(screen.text)
    def follow(change):
        if fitting.locked():        # a control that is fitted to the others: they draw
            return
        with fitting:
            for name, spec in controls.items():
                if callable(spec):
                    fit(widgets[name], resolve(spec))
        redraw()

    for name, spec in controls.items():
        widgets[name] = control(name, resolve(spec))
        widgets[name].observe(follow, "value")
    redraw()
    return ipywidgets.VBox([*widgets.values(), screen])


def upload(draw):
    """A button that takes a picture file; `draw(image)` gets it as load_image gives it, (1,3,h,w), and gives (picture, text).

    What is not a picture, and an error in `draw`, is shown in place of the text.
    """
    button, screen = file_button(), Screen("No picture was chosen yet.")

    @errors_in(screen.text)
    def take(_):
        if button.value:
            screen.show(*draw(uploaded(button)))

    button.observe(take, "value")
    return ipywidgets.VBox([button, screen])


def board(fill, /, *, width=WIDTH, **controls):
    """Controls above many pictures, each of which appears as soon as it is there; the slow ones come last.

    `fill(picture, **values)` yields (picture, caption) one by one; `picture` is the reader's own, as load_image gives it, or
    None until one is uploaded. Controls as for `explore`, but none may depend on another. A change starts again at once, in a
    thread, and gives up what was being drawn; the first board is drawn before the call returns, and raises its errors. The
    line of text says how many pictures there are, and after how many seconds the first and the last came.
    """
    widgets, button = {name: control(name, spec) for name, spec in controls.items()}, file_button()
    box = ipywidgets.VBox([ipywidgets.HBox([*widgets.values(), button], layout={"flex_flow": "row wrap"})])

    def empty():        # what still draws on the wall that was there before is not seen any more
        text, wall = Line("…"), ipywidgets.HBox(layout={"flex_flow": "row wrap"})
        box.children = box.children[0], text, wall
        return text, wall

    def draw(text, wall):
        began, took = time.monotonic(), []
        for image, caption in fill(uploaded(button), **values(widgets)):
            if wall not in box.children:        # something was changed meanwhile
                return
            picture = Picture(value=png(image, width, quick=True), format="png", layout={"width": "100%"})
            picture.tell(caption)
            fixed = {"width": f"{width}px", "flex": "0 0 auto", "margin": "4px"}     # or a row squeezes its pictures
            wall.children += ipywidgets.VBox([picture, ipywidgets.HTML(caption)], layout=fixed),
            took.append(time.monotonic() - began)
            text.value = f"Pictures: {len(took)}; the first after {took[0]:.1f} s, the last after {took[-1]:.1f} s …"
        text.value = text.value.replace(" …", ", done")

    def begin(_):
        text, wall = empty()
        threading.Thread(target=errors_in(text)(draw), args=(text, wall), daemon=True).start()

    draw(*empty())
    for widget in (*widgets.values(), button):
        widget.observe(begin, "value")
    return box


def ask(question, answers, *, right):
    """A question to check oneself: `answers` maps each to the line that explains it, shown once it is chosen; `right` is one of them."""
    if right not in answers:
        raise ValueError(f"Got right={right!r}; expected one of {list(answers)}.")
    choice = ipywidgets.RadioButtons(options=list(answers), value=None, layout={"width": "max-content"})
    says = Line()

    def judge(change):
        says.value = "" if change.new is None else f"{'✓' if change.new == right else '✗'} {answers[change.new]}"

    choice.observe(judge, "value")
    return ipywidgets.VBox([ipywidgets.HTML(f"<b>{question}</b>"), choice, says])
