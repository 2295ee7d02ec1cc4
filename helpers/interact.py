"""What moves in a notebook: live synthesis, controls that a picture follows, a button for the reader's own picture."""

import html
import threading
import time
from inspect import signature

from helpers.images import load_image
from helpers.show import WIDTH, png


def frame():
    """A place for a picture of its own size, hidden until it has one: browsers draw an empty image as a broken one."""
    import ipywidgets
    return ipywidgets.Image(format="png", layout={"align_self": "flex-start", "max_width": "100%", "display": "none"})


def put(image, place, width):
    # An Image widget has no alt text, and a tooltip breaks its view: the line of text below says what is shown.
    place.value, place.layout.display = png(image, width, quick=True), None


def fault(error):
    """An error as a line of text, for a callback or a thread that has no other place to show it."""
    return f"<b>{type(error).__name__}:</b> {html.escape(str(error))}"


def live(steps, *, every=0.1, width=2 * WIDTH):
    """Passes on the steps of `descend`, and shows the picture as it grows, at most once in `every` seconds."""
    import ipywidgets
    from IPython.display import display
    picture, text, last = frame(), ipywidgets.HTML(), 0.0
    display(ipywidgets.VBox([picture, text]))

    def draw(step):
        put(step.image[:1].clamp(0, 1), picture, width)
        text.value = f"step {step.index}, loss {step.loss:.3f}"

    step = None
    try:
        for step in steps:
            if time.monotonic() - last > every:
                draw(step)
                last = time.monotonic()
            yield step
    except KeyboardInterrupt:       # the kernel's stop button: whoever stops it wants to keep the picture
        pass
    if step is not None:
        draw(step)


def play(steps, /, *, every=0.02, width=2 * WIDTH, **controls):
    """A button that draws, and one that stops and keeps the picture. `steps(**values)` gives the steps, as `descend` does.

    Controls as for `explore`, but none may depend on another. It runs beside the notebook, so that other cells still run;
    the line of text says the step, the loss, and how many pictures a second were drawn. An error is shown in its place.
    """
    import ipywidgets
    widgets = {name: make_control(name, spec) for name, spec in controls.items()}
    start, stop = ipywidgets.Button(description="draw", icon="play"), ipywidgets.Button(description="stop", icon="stop", disabled=True)
    picture, text, stopped = frame(), ipywidgets.HTML("Press <i>draw</i>."), threading.Event()

    def draw(step, drawn, began):
        put(step.image[:1].clamp(0, 1), picture, width)
        rate = drawn / max(time.monotonic() - began, 1e-9)
        text.value = f"step {step.index}, loss {step.loss:.3f}, {rate:.0f} pictures a second"

    def run():
        began, last, drawn, step = time.monotonic(), 0.0, 0, None
        try:
            for step in steps(**{name: widget.value for name, widget in widgets.items()}):
                if stopped.is_set():
                    break
                if time.monotonic() - last > every:
                    last, drawn = time.monotonic(), drawn + 1
                    draw(step, drawn, began)
            if step is not None:
                draw(step, max(drawn, 1), began)
        except Exception as error:
            text.value = fault(error)
        start.disabled, stop.disabled = False, True

    def begin(_):
        stopped.clear()
        start.disabled, stop.disabled = True, False
        threading.Thread(target=run, daemon=True).start()

    start.on_click(begin)
    stop.on_click(lambda _: stopped.set())
    return ipywidgets.VBox([*widgets.values(), ipywidgets.HBox([start, stop]), picture, text])


def explore(draw, /, **controls):
    """Controls above a picture that follows them. `draw(**values)` gives (picture, text); the text says what is shown.

    A control is a list of choices, (low, high) or (low, high, step), of whole numbers where all are whole, or a function of
    the values of the controls before it that gives one of these. An error in `draw` is shown in place of the text.
    """
    import ipywidgets
    picture, text, widgets = frame(), ipywidgets.HTML(), {}

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
            put(image, picture, 6 * WIDTH)
            text.value = says
        except Exception as error:
            text.value = fault(error)

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
    slider = ipywidgets.IntSlider if all(isinstance(v, int) for v in spec) else ipywidgets.FloatSlider
    return slider(min=low, max=high, step=step[0] if step else 1, value=low, description=name)


def adjust(widget, spec):
    if isinstance(spec, list):
        widget.options = spec
    else:
        widget.max = spec[1]


def upload(draw):
    """A button that takes a picture file; `draw(image)` gets it as load_image gives it, (1,3,h,w), and gives (picture, text).

    What is not a picture, and an error in `draw`, is shown in place of the text.
    """
    import ipywidgets
    button = ipywidgets.FileUpload(accept="image/*", multiple=False, description="your picture")
    picture, text = frame(), ipywidgets.HTML("No picture was chosen yet.")

    def take(change):
        if not change.new:
            return
        try:
            image, says = draw(load_image(bytes(change.new[0]["content"])))
            put(image, picture, 6 * WIDTH)
            text.value = says
        except Exception as error:
            text.value = fault(error)

    button.observe(take, "value")
    return ipywidgets.VBox([button, picture, text])


def board(fill, /, *, width=WIDTH, **controls):
    """Controls above many pictures, each of which appears as soon as it is there; the slow ones come last.

    `fill(picture, **values)` yields (picture, caption) one by one; `picture` is the reader's own, as load_image gives it, or
    None until one is uploaded. Controls as for `explore`, but none may depend on another. A change starts again at once, in a
    thread, and gives up what was being drawn; the first board is drawn before the call returns, and raises its errors. The
    line of text says how many pictures there are, and after how many seconds the first and the last came.
    """
    import ipywidgets
    widgets = {name: make_control(name, spec) for name, spec in controls.items()}
    button = ipywidgets.FileUpload(accept="image/*", multiple=False, description="your picture")
    text, wall = ipywidgets.HTML(), ipywidgets.HBox(layout={"flex_flow": "row wrap"})
    latest, turn = [0], threading.Lock()

    def draw(number):
        began, tiles, first = time.monotonic(), [], None
        try:
            own = load_image(bytes(button.value[0]["content"])) if button.value else None
            for image, caption in fill(own, **{name: widget.value for name, widget in widgets.items()}):
                drawn = ipywidgets.Image(value=png(image, width, quick=True), format="png", layout={"width": "100%"})
                fixed = {"width": f"{width}px", "flex": "0 0 auto", "margin": "4px"}     # or a row squeezes its pictures
                tiles.append(ipywidgets.VBox([drawn, ipywidgets.HTML(caption)], layout=fixed))
                first = first or time.monotonic() - began
                with turn:
                    if number != latest[0]:         # something was changed meanwhile
                        return
                    wall.children = tuple(tiles)
                    last = time.monotonic() - began
                    text.value = f"Pictures: {len(tiles)}; the first after {first:.1f} s, the last after {last:.1f} s"
            with turn:
                if number == latest[0]:
                    wall.children = tuple(tiles)
                    text.value += ", done"
        except Exception as error:
            if number == 0:
                raise
            if number == latest[0]:
                text.value = fault(error)

    def begin(_=None):
        with turn:
            latest[0] += 1
            number, wall.children, text.value = latest[0], (), ""
        threading.Thread(target=draw, args=(number,), daemon=True).start()

    for widget in (*widgets.values(), button):
        widget.observe(begin, "value")
    draw(0)
    return ipywidgets.VBox([ipywidgets.HBox([*widgets.values(), button], layout={"flex_flow": "row wrap"}), text, wall])


def ask(question, answers, *, right):
    """A question to check oneself: `answers` maps each to the line that explains it, shown once it is chosen; `right` is one of them."""
    import ipywidgets
    if right not in answers:
        raise ValueError(f"Got right={right!r}; expected one of {list(answers)}.")
    choice = ipywidgets.RadioButtons(options=list(answers), value=None, layout={"width": "max-content"})
    says = ipywidgets.HTML()

    def judge(change):
        says.value = "" if change.new is None else f"{'✓' if change.new == right else '✗'} {answers[change.new]}"

    choice.observe(judge, "value")
    return ipywidgets.VBox([ipywidgets.HTML(f"<b>{question}</b>"), choice, says])
