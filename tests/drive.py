"""Move the controls of widgets as a reader would, in the kernel of a notebook, after its cells."""

import asyncio
import html
import io
import re
import time
from datetime import UTC, datetime
from functools import partial

from ipywidgets import (
    HTML,
    Button,
    Dropdown,
    FileUpload,
    FloatSlider,
    Image,
    IntSlider,
    RadioButtons,
    widget_serialization,
)
from PIL import Image as Pillow

PATIENCE = 120      # seconds until whatever draws must have ended
ERROR = re.compile(r"<b>(\w+):</b> ([^<]*)")        # as errors_in shows it


async def drive(displayed):
    """Move every control of the displayed widgets, [(cell, model id), ...], and name what fails."""
    complaints = []
    for cell, model in displayed:
        box = widget_serialization["from_json"](f"IPY_MODEL_{model}", None)
        began = time.perf_counter()
        count = 0
        for name, move, must_fail in moves(box):
            count += 1
            complaint = await follow(box, move, must_fail)
            if complaint:
                complaints.append(f"cell {cell}, {name}: {complaint}")
        print(f"cell {cell}: {count} moves, {time.perf_counter() - began:.1f} s")
    assert not complaints, "\n".join(complaints)


def parts(widget, *kinds):
    """List the widgets of these kinds in a widget and in its children."""
    found = [widget] if isinstance(widget, kinds) else []
    for child in getattr(widget, "children", ()):
        found += parts(child, *kinds)
    return found


def moves(box):
    """Yield (name, move, whether an error must follow): one move of each control, two uploads."""
    picture = io.BytesIO()
    Pillow.radial_gradient("L").resize((96, 72)).convert("RGB").save(picture, "PNG")
    for button in parts(box, FileUpload):
        yield "a text file", partial(upload, button, b"Dear friend"), True
        yield "a picture", partial(upload, button, picture.getvalue()), False
    for control in parts(box, RadioButtons, Dropdown, IntSlider, FloatSlider):
        trait, end = end_of(control)
        if getattr(control, trait) != end:
            yield control.description or "answer", partial(setattr, control, trait, end), False
    if parts(box, Button):
        yield "draw", lambda: None, False


def upload(button, data):
    file = {"name": "mine", "type": "image/png", "size": len(data), "content": memoryview(data)}
    button.value = (file | {"last_modified": datetime.now(UTC)},)


def end_of(control):
    if isinstance(control, (Dropdown, RadioButtons)):
        return "index", len(control.options) - 1
    return "value", control.max


async def follow(box, move, must_fail):
    """Move, press `draw` and `stop` where there are such buttons, and return what is wrong."""
    before = look(box)
    move()
    buttons = {button.description: button for button in parts(box, Button)}
    if "draw" in buttons:
        buttons["draw"].click()
    changed = await wait(lambda: look(box) != before)
    if "stop" in buttons:
        buttons["stop"].click()
    if not await wait(lambda: not any(line.value.endswith("…") for line in parts(box, HTML))):
        return f"it still draws after {PATIENCE} s"
    errors = [ERROR.search(line.value) for line in parts(box, HTML) if ERROR.search(line.value)]
    if must_fail:
        return None if errors else "expected an error"
    if errors:
        return html.unescape(": ".join(errors[0].groups()))
    if not changed:
        return "nothing changed"
    if any(picture.layout.display == "none" for picture in parts(box, Image)):
        return "no picture was drawn"


def look(box):
    return [part.value for part in parts(box, HTML, Image)]


async def wait(condition):
    """Let the kernel draw until a condition holds; return whether it does."""
    end = time.monotonic() + PATIENCE
    while not condition() and time.monotonic() < end:
        await asyncio.sleep(0.005)
    return condition()
