"""Moves the controls of widgets as a reader would. Runs in the kernel of a notebook, after its last cell: see after_cells.py."""

import html
import io
import json
import re
import time
from datetime import UTC, datetime
from functools import partial

from ipywidgets import HTML, Button, Dropdown, FileUpload, FloatSlider, Image, IntSlider, RadioButtons, widget_serialization
from PIL import Image as Pillow

PATIENCE = 120  # seconds until what draws must have ended
ERROR = re.compile(r"<b>(\w+):</b> (.*)")  # as the helpers show one in a line of text
COUNTS = re.compile(r"(Pictures: .* )?…")  # a board's line while it draws


def drive(displayed):
    """Moves every control of the displayed widgets, [(cell, model id), ...], and raises an error that names what went wrong."""
    wrong = []
    for cell, model in displayed:
        box = widget_serialization["from_json"](f"IPY_MODEL_{model}", None)
        began, count = time.perf_counter(), 0
        for moved, act, must_fail in moves(box):
            count += 1
            complaints = list(follow(box, act, must_fail))      # before the state is asked for
            wrong += [f"cell {cell}, {state(box, moved)}: {complaint}" for complaint in complaints]
        if count:
            print(f"cell {cell}: {count} moves, {time.perf_counter() - began:.1f} s")
    assert not wrong, "\n".join(wrong)


def times(displayed, most=8):
    """How long the pictures take that follow controls; prints it as JSON, [[cell, network, control, seconds], ...]."""
    boxes = ((cell, widget_serialization["from_json"](f"IPY_MODEL_{model}", None)) for cell, model in displayed)
    print(json.dumps([[cell, *move] for cell, box in boxes for move in timed(box, most)]))


def timed(box, most):
    """Yields (network, control, seconds): for each network that can be chosen, each control moves to up to `most` values, spread evenly,
    while the others stand where they are."""
    if parts(box, Button, FileUpload):      # its picture comes from a thread, or not before a file does
        return
    movable = parts(box, Dropdown, IntSlider, FloatSlider)
    network = next((control for control in movable if control.description == "network"), None)
    movable.sort(key=lambda control: control is not network)        # it moves first
    for choice in range(len(network.options)) if network else [None]:
        for control in movable:
            trait, places = every_place(control)
            stood = getattr(control, trait)
            for value in [choice] if control is network else spread(places, most):
                if getattr(control, trait) != value:
                    took = seconds(box, control, trait, value)
                    yield network.label if network else "", control.description, took
            if control is not network:
                setattr(control, trait, stood)


def every_place(control):
    """The trait that says where a control stands, and all its values."""
    if isinstance(control, Dropdown):
        return "index", range(len(control.options))
    return "value", [control.min + n * control.step for n in range(round((control.max - control.min) / control.step) + 1)]


def spread(places, most):
    """At most so many of the places, evenly, with both ends."""
    return places if len(places) <= most else [places[round(n * (len(places) - 1) / (most - 1))] for n in range(most)]


def seconds(box, control, trait, value):
    """How long it takes until the picture has followed a control; an error in place of the picture is raised."""
    began = time.perf_counter()
    setattr(control, trait, value)      # returns when the picture is in its widget
    took = time.perf_counter() - began
    told = [line.value for line in parts(box, HTML) if ERROR.search(line.value)]
    assert not told, f"{state(box, control)}: {told}"
    return took


def parts(widget, *kinds):
    """What is of these kinds in a widget, or in what it contains."""
    return [widget] * isinstance(widget, kinds) + [part for child in getattr(widget, "children", ()) for part in parts(child, *kinds)]


def controls(box):
    return parts(box, Dropdown, IntSlider, FloatSlider, RadioButtons, FileUpload)


def moves(box):
    """Yields (control, act, whether an error must follow): every control to its ends, every question to each of its answers."""
    for button in parts(box, FileUpload):       # first, because some choices need a picture
        yield button, partial(upload, button, "no picture", b"a letter to a friend"), True
        yield button, partial(upload, button, "a picture", a_picture()), False
    for question in parts(box, RadioButtons):
        for index in range(len(question.options)):
            yield question, partial(setattr, question, "index", index), False
    movable = parts(box, Dropdown, IntSlider, FloatSlider)
    for control in movable:
        ends = {other: range_of(other) for other in movable}
        yield from move(box, control, -1)
        for other in movable:
            if range_of(other) != ends[other]:      # it depends on the one that moved
                yield from move(box, other, -1)
        yield from move(box, control, 0)


def range_of(control):
    return control.options if isinstance(control, Dropdown) else (control.min, control.max)


def move(box, control, end):
    """To the last (-1) or the first (0) place, unless it is there and nothing has to be pressed to draw."""
    trait, places = ("index", range(len(control.options))) if isinstance(control, Dropdown) else ("value", range_of(control))
    value = places[end]
    if getattr(control, trait) != value or parts(box, Button):
        yield control, partial(setattr, control, trait, value), False


def state(box, moved):
    """Where the controls stand, the one that moved first: "a = 3 (b = x)"."""

    def tell(control):
        value = control.value[0]["name"] if isinstance(control, FileUpload) and control.value else getattr(control, "label", control.value)
        return f"{control.description or 'the answer'} = {value}"

    others = [tell(control) for control in controls(box) if control is not moved and control.value not in ((), None)]
    return tell(moved) + f" ({', '.join(others)})" * bool(others)


def a_picture():
    file = io.BytesIO()
    Pillow.radial_gradient("L").resize((96, 72)).convert("RGB").save(file, "PNG")
    return file.getvalue()


def upload(button, name, data):
    about = {"name": name, "type": "image/png", "size": len(data), "last_modified": datetime.now(UTC)}
    button.value = ({**about, "content": memoryview(data)},)


def follow(box, act, must_fail):
    """Acts, presses `draw` and `stop` where there are such buttons, waits for the end, and yields what is wrong then."""
    before, buttons = look(box), {button.description: button for button in parts(box, Button)}
    act()
    if buttons:
        buttons["draw"].click()
        wait(lambda: look(box) != before or idle(box))
        buttons["stop"].click()
    if not wait(lambda: idle(box)):
        yield f"it still draws after {PATIENCE} s"
        return
    after = look(box)
    errors = [html.unescape(": ".join(found.groups())) for text in after if isinstance(text, str) and (found := ERROR.search(text))]
    if must_fail and not any(" " in error and error.endswith(".") for error in errors):
        yield f"expected a sentence that says what is wrong, found {errors or 'none'}"
    if not must_fail:
        yield from errors or filter(None, map(no_picture, parts(box, Image)))
    if after == before and not errors:
        yield "nothing changed"


def look(box):
    return [part.value for part in parts(box, HTML, Image)]


def idle(box):
    """Whether nothing draws any more: the stop button is off, and no board counts its pictures."""
    stops = [button for button in parts(box, Button) if button.description == "stop"]
    return all(stop.disabled for stop in stops) and not any(COUNTS.fullmatch(line.value) for line in parts(box, HTML))


def wait(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


def no_picture(widget):
    """What is wrong with a picture's widget, or None."""
    try:
        Pillow.open(io.BytesIO(widget.value)).load()
    except OSError as error:
        return f"no picture was drawn: {error}"
    return "the picture is hidden" if widget.layout.display == "none" else None
