import asyncio

import ipywidgets
import pytest
import torch
from PIL import Image

from helpers import widgets
from helpers.figures import png
from helpers.optimization import Step
from tests.drive import ERROR, parts, upload, wait

BLACK = torch.zeros(1, 3, 4, 4)


def text_of(box):
    """The line of text below a picture or above a gallery."""
    return parts(box, ipywidgets.HTML)[-1].value


def control(box, name):
    kinds = (ipywidgets.Dropdown, ipywidgets.IntSlider, ipywidgets.FloatSlider, ipywidgets.Button)
    return next(part for part in parts(box, *kinds) if part.description == name)


def draw(k, name="a"):
    if k == 3:
        raise KeyError("no <such> thing")
    return torch.full((1, 3, 4, 4), k / 10), f"{name}, {k}"


def climb(steps, name="a"):
    for k in range(1, steps + 1):
        if name == "b":
            raise ValueError("The loss is not finite.")
        yield Step(k, torch.tensor(0.5), torch.rand(1, 3, 8, 8))


def fill(picture, k):
    for n in range(3):
        yield BLACK if picture is None else picture, f"{n} of {draw(k)[1]}"


def test_explore_follows_its_controls():
    box = widgets.explore(draw, name=[("one", "a"), ("the other", "b")], k=(0, 2))
    picture = parts(box, ipywidgets.Image)[0]
    before = picture.value
    assert "a, 0" in text_of(box) and picture.tooltip == "a, 0" and control(box, "k").max == 2
    control(box, "k").value = 1
    assert "a, 1" in text_of(box) and picture.value != before
    control(box, "name").index = 1
    assert "b, 1" in text_of(box)


def test_explore_shows_later_errors_and_recovers():
    with pytest.raises(KeyError):
        widgets.explore(draw, k=(3, 4))
    box = widgets.explore(draw, k=(0, 5))
    control(box, "k").value = 3
    assert "KeyError" in text_of(box) and "&lt;such&gt;" in text_of(box)
    control(box, "k").value = 0
    assert "a, 0" in text_of(box)


def test_run_button_runs_stops_and_shows_errors():
    async def notebook():
        box = widgets.run_button(climb, steps=[5, 10**9], name=["a", "b"])
        control(box, "draw").click()
        assert await wait(lambda: "step 5, loss" in text_of(box))
        control(box, "steps").value = 10**9
        control(box, "draw").click()
        assert await wait(lambda: text_of(box).endswith("…"))
        control(box, "stop").click()
        assert await wait(lambda: "loss" in text_of(box))
        control(box, "name").value = "b"
        control(box, "draw").click()
        assert await wait(lambda: ERROR.search(text_of(box)))

    asyncio.run(notebook())


def test_upload_button_takes_a_file_or_a_path(tmp_path):
    box = widgets.upload_button(lambda image: (image, f"{tuple(image.shape)}"))
    button = parts(box, ipywidgets.FileUpload)[0]
    upload(button, png(BLACK, 8))
    assert "(1, 3, 8, 8)" in text_of(box)
    Image.new("RGB", (30, 20)).save(tmp_path / "my cat.png")
    parts(box, ipywidgets.Text)[0].value = str(tmp_path / "my cat.png")
    assert "(1, 3, 20, 30)" in text_of(box)
    upload(button, b"Dear friend")
    assert "ValueError" in text_of(box)


def test_uploads_of_ipywidgets_7():
    """There the value is a dict by the file's name, as on Colab."""
    data = png(BLACK, 8)
    assert widgets.content({"cat.png": {"metadata": {}, "content": data}}) == data
    assert widgets.content(({"name": "cat.png", "content": memoryview(data)},)) == data
    assert widgets.content({}) == widgets.content(()) == b""


def test_gallery_starts_again_with_each_change():
    async def notebook():
        box = widgets.gallery(fill, k=(0, 3))
        wall = box.children[2]
        captions = lambda: [text_of(tile) for tile in wall.children]
        assert captions() == ["0 of a, 0", "1 of a, 0", "2 of a, 0"]
        control(box, "k").value = 1
        control(box, "k").value = 2
        assert await wait(lambda: captions() == ["0 of a, 2", "1 of a, 2", "2 of a, 2"])
        upload(parts(box, ipywidgets.FileUpload)[0], png(BLACK, 8))
        control(box, "k").value = 3
        assert await wait(lambda: "KeyError" in box.children[1].value)

    asyncio.run(notebook())


def test_quiz_explains_each_answer():
    box = widgets.quiz("What?", {"this": "Yes, this.", "that": "Not that."}, right="this")
    choice = box.children[1]
    assert "What?" in box.children[0].value and choice.value is None
    choice.value = "that"
    assert "✗ Not that." in text_of(box)
    choice.value = "this"
    assert "✓ Yes, this." in text_of(box)
    stored = box._repr_mimebundle_()["text/html"]       # what is seen without a kernel
    assert "Not that." not in stored and "<details><summary>Answer</summary>this. Yes" in stored
